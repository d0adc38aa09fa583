#include "server/observe/figures.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "server/observe/text.h"

namespace headrace::observe {

using journal::DumpState;
using journal::Phase;
using journal::RunState;

Life life_of(const RunState& state, bool alive) {
  if (state.finished) return Life::finished;
  return alive ? Life::running : Life::died;
}

double Movement::seconds_left() const {
  if (expected <= bytes || bytes == 0 || seconds < 1) return -1;
  return static_cast<double>(expected - bytes) * seconds / static_cast<double>(bytes);
}

Movement movement_of(const DumpState& dump, int64_t now_us) {
  const auto since = [now_us](int64_t then_us) {
    return then_us > 0 && now_us > then_us ? static_cast<double>(now_us - then_us) / 1e6 : 0.0;
  };
  const uint64_t expected = dump.est_stored_kib * base::kKiB;
  if (dump.phase == Phase::dumping)
    return {dump.bytes, expected, dump.attempts.empty() ? 0 : since(dump.attempts.back().started_us),
            since(dump.moved_us)};
  if (dump.phase == Phase::writing)
    return {std::max(dump.writing().bytes, dump.writing().sampled), dump.stored_kib * base::kKiB,
            since(dump.writing().started_us), since(dump.moved_us)};
  if (dump.dumped || dump.flush) return {dump.stored_kib * base::kKiB, expected, dump.dump_seconds, 0};
  return {0, expected, 0, 0};
}

bool is_missing(const DumpState& dump, Life life) {
  return life != Life::running && !dump.ended() && !dump.has_image();
}

std::string state_word(const DumpState& dump, Life life) {
  if (is_missing(dump, life)) return "MISSING";
  switch (dump.phase) {
    case Phase::chosen:
      return dump.estimates_kib.empty() ? "estimating" : "estimated";
    case Phase::skipped:
      return "skipped";
    case Phase::planned:
      return "waiting";
    case Phase::dumping:
      return dump.attempts.back().to == journal::Destination::volume ? "dumping to volume" : "dumping";
    case Phase::held:
      return life == Life::running ? "held" : "on holding disk";
    case Phase::writing:
      return life == Life::running       ? "writing"
             : dump.holding_file.empty() ? "not written"
                                         : "on holding disk";
    case Phase::written:
      return "written";
    case Phase::left:
      return "on holding disk";
    case Phase::failed:
      return "FAILED";
  }
  return {};
}

namespace {

Sum& slot_of(Sums& sums, const DumpState& dump, Life life) {
  if (is_missing(dump, life)) return sums.missing;
  switch (dump.phase) {
    case Phase::chosen:
      return sums.estimating;
    case Phase::skipped:
      return sums.skipped;
    case Phase::planned:
      return sums.waiting;
    case Phase::dumping:
      return sums.dumping;
    case Phase::held:
      return life == Life::running ? sums.held : sums.left;
    case Phase::writing:
      return life == Life::running ? sums.writing : sums.left;
    case Phase::written:
      return sums.written;
    case Phase::left:
      return sums.left;
    case Phase::failed:
      break;
  }
  return sums.failed;
}

}  // namespace

Sums sums_of(const RunState& state, Life life) {
  Sums sums;
  for (const auto& dump : state.dumps) {
    // What a dead run received in part is lost.
    const bool comes_in = dump.phase == Phase::dumping && life == Life::running;
    const uint64_t kib = comes_in ? base::to_kib(dump.bytes) : dump.stored_kib;
    const auto add = [&](Sum& sum) {
      ++sum.dumps;
      sum.kib += kib;
      sum.expected_kib += dump.est_stored_kib;
    };
    add(slot_of(sums, dump, life));
    if (dump.phase != Phase::skipped) add(sums.all);
    if (dump.dumped) add(sums.dumped);
    if (dump.flush) add(sums.flushes);
    if (dump.phase == Phase::written) add(sums.on_volumes);
  }
  return sums;
}

int status_bits_of(const RunState& state) {
  return journal::exit_status_of(state) | (state.finished ? state.finished->exit_status : 0);
}

std::string exit_status_text(int status) {
  constexpr std::array<const char*, 5> kBits = {"an error in the run", "strange messages", "a dump failed",
                                                "results missing", "volume trouble"};
  if (status == 0) return "all well";
  std::string text;
  for (size_t bit = 0; bit < kBits.size(); ++bit)
    if ((static_cast<unsigned>(status) & (1U << bit)) != 0)
      text += (text.empty() ? "" : ", ") + std::string(kBits[bit]);
  return text;
}

std::string of_storage(const RunState& state, const std::string& storage) {
  return storage.empty() || !state.several_storages() ? "" : " of storage " + printable(storage);
}

uint64_t images_on(const RunState& state, const std::string& label) {
  return static_cast<uint64_t>(std::ranges::count_if(state.dumps, [&label](const DumpState& dump) {
    return std::ranges::any_of(dump.writings, [&label](const journal::WritingState& writing) {
      return std::ranges::find(writing.labels, label) != writing.labels.end();
    });
  }));
}

}  // namespace headrace::observe
