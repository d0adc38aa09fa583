#include "server/observe/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "server/observe/changes.h"
#include "server/observe/figures.h"
#include "server/observe/text.h"
#include "server/observe/verdict_text.h"

namespace headrace::observe {
namespace {

using journal::DumpState;
using journal::Phase;
using journal::RunState;

constexpr double kSilentSeconds = 10;

std::string bar(uint64_t part, uint64_t whole, size_t width) {
  const double share = whole == 0 ? 0 : std::min(static_cast<double>(part) / static_cast<double>(whole), 1.0);
  const auto full = static_cast<size_t>(share * static_cast<double>(width));
  return "[" + std::string(full, '#') + std::string(width - full, '-') + "]";
}

std::string human_kib(uint64_t kib) { return base::human_bytes(kib * base::kKiB); }

// Tonight's dumps together: bytes in, of those expected. A failed one is not expected any more.
std::string total_line(const char* name, uint64_t done, uint64_t expected, double seconds, size_t width) {
  const uint64_t whole = std::max(done, expected);
  return fmt::format("{} {} {:>4} {} of {} {}", name, bar(done, whole, width), percent(done, whole),
                     base::human_bytes(done), base::human_bytes(whole), rate(done, seconds));
}

void totals(const RunState& state, int64_t now_us, size_t bar_width, std::vector<std::string>& lines) {
  uint64_t dumped = 0;
  uint64_t to_dump = 0;
  uint64_t written = 0;
  uint64_t to_write = 0;
  for (const auto& dump : state.dumps) {
    if (dump.phase == Phase::failed || dump.phase == Phase::skipped) continue;
    const auto moved = movement_of(dump, now_us);
    const bool sized = dump.dumped || dump.flush;
    const uint64_t size = sized ? dump.stored_kib * base::kKiB : std::max(moved.bytes, moved.expected);
    if (!dump.flush) {
      dumped += dump.dumped ? size : moved.bytes;
      to_dump += size;
    }
    if (dump.phase == Phase::left) continue;
    to_write += size;
    if (dump.phase == Phase::written)
      written += size;
    else if (dump.phase == Phase::writing)
      written += std::min(moved.bytes, size);
    else
      written += std::min(dump.writing().bytes, size);
  }
  const double seconds = static_cast<double>(now_us - state.started_us) / 1e6;
  if (to_dump > 0)
    lines.push_back(total_line("dumped ", dumped, to_dump, seconds - state.plan_seconds, bar_width));
  if (to_write > 0) lines.push_back(total_line("written", written, to_write, seconds, bar_width));
}

std::string counts(const RunState& state) {
  const auto sums = sums_of(state, Life::running);
  std::string out;
  const auto add = [&out](const Sum& sum, const char* what) {
    if (sum.dumps > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", sum.dumps, what);
  };
  add(sums.estimating, "estimating");
  add(sums.waiting, "waiting");
  add(sums.dumping, "dumping");
  add(sums.held, "held");
  add(sums.writing, "writing");
  add(sums.written, "written");
  add(sums.left, "left on holding disk");
  add(sums.skipped, "skipped");
  add(sums.failed, "FAILED");
  for (const auto& volume : state.volumes)
    if (!volume.finished) out += fmt::format("; volume {}", printable(volume.label));
  for (const auto& it : state.no_volume)
    out += fmt::format("; NO VOLUME{}: {}", of_storage(state, it.storage), first_line(it.reason));
  return out;
}

std::string active_line(const DumpState& dump, int64_t now_us, size_t name_width, size_t bar_width) {
  const auto moved = movement_of(dump, now_us);
  std::string note = rate(moved.bytes, moved.seconds);
  if (dump.paused)
    note = "PAUSED";
  else if (moved.idle_seconds >= kSilentSeconds)
    note += "  NO DATA for " + duration(moved.idle_seconds);
  else if (const double left = moved.seconds_left(); left >= 0)
    note += "  " + duration(left) + " left";
  if (!dump.waits_for.empty()) note += "  held up by " + printable(dump.waits_for);
  return fmt::format("{} {} {} {} {:>4} {:>10} {}", fit(dle_name(dump.image), name_width), dump.image.level,
                     dump.phase == Phase::dumping ? "dump " : "write",
                     bar(moved.bytes, moved.expected, bar_width), percent(moved.bytes, moved.expected),
                     base::human_bytes(moved.bytes), note);
}

std::string idle_line(const DumpState& dump, size_t name_width) {
  return fmt::format("{} {} {} {}", fit(dle_name(dump.image), name_width), dump.image.level,
                     dump.phase == Phase::held ? "held " : "waits",
                     dump.waits_for.empty() ? "" : "for " + printable(dump.waits_for));
}

std::string trouble_line(const DumpState& dump, size_t name_width) {
  std::string what;
  if (dump.phase == Phase::failed)
    what = "FAILED: " + first_line(dump.failure);
  else if (!dump.ended() && !dump.failure.empty())
    what = "failed, will be tried again: " + first_line(dump.failure);
  else if (dump.phase == Phase::left)
    what = "left on holding disk: " + first_line(dump.left_reason);
  else if (dump.strange)
    what = "strange, see the report";
  if (what.empty()) return {};
  return fmt::format("{} {} {}", fit(dle_name(dump.image), name_width), dump.image.level, what);
}

struct ToLine {
  using Line = std::optional<std::string>;
  static std::string name(const journal::ImageId& image) {
    return fmt::format("{} level {}", dle_name(image), image.level);
  }

  Line operator()(const journal::RunStarted& e) const {
    return fmt::format("{} of {} started, process {} on {}",
                       e.kind == journal::RunKind::flush ? "flush" : "run", printable(e.config), e.pid,
                       printable(e.hostname));
  }
  Line operator()(const journal::RunFinished& e) const {
    return fmt::format("finished after {}: {}", duration(e.seconds), exit_status_text(e.exit_status));
  }
  Line operator()(const journal::Note& e) const {
    if (e.severity == journal::Severity::info) return std::nullopt;
    return fmt::format("{}: {}", printable(e.program), first_line(e.text));
  }
  Line operator()(const journal::LeftoverFound& e) const { return first_line(e.what); }
  Line operator()(const journal::DleChosen&) const { return std::nullopt; }
  Line operator()(const journal::FlushPlanned& e) const {
    return fmt::format("{}: {} from {} to be flushed", name(e.image), human_kib(e.stored_kib),
                       readable_timestamp(e.image.timestamp));
  }
  Line operator()(const journal::EstimateGot&) const { return std::nullopt; }
  Line operator()(const journal::DlePlanned& e) const {
    return fmt::format("{}: about {}, because {}", name(e.image), human_kib(e.est_stored_kib),
                       printable(e.reason));
  }
  Line operator()(const journal::DleSkipped& e) const {
    return fmt::format("{}: skipped ({})", name(e.image), printable(e.reason));
  }
  Line operator()(const journal::PlanFailed& e) const {
    return fmt::format("{}: FAILED: {}", name(e.image), first_line(e.message));
  }
  Line operator()(const journal::PlanDone& e) const {
    return fmt::format("planned in {}", duration(e.seconds));
  }
  Line operator()(const journal::Waiting&) const { return std::nullopt; }
  Line operator()(const journal::DumpStarted& e) const {
    return fmt::format("{}: dumping to {}{}", name(e.image),
                       e.to == journal::Destination::volume ? "the volume" : "holding disk",
                       e.attempt > 1 ? fmt::format(", try {}", e.attempt) : "");
  }
  Line operator()(const journal::DumpProgress&) const { return std::nullopt; }
  Line operator()(const journal::DumpFinished& e) const {
    const auto speed = rate(e.stored_kib * base::kKiB, e.seconds);
    return fmt::format("{}: dumped {} in {}{}{}", name(e.image), human_kib(e.stored_kib), duration(e.seconds),
                       speed.empty() ? "" : ", " + speed, e.strange ? ", with STRANGE messages" : "");
  }
  Line operator()(const journal::DumpFailed& e) const {
    return fmt::format("{}: {}: {}", name(e.image), e.will_retry ? "failed, will be tried again" : "FAILED",
                       first_line(e.message));
  }
  Line operator()(const journal::DumpGivenUp& e) const {
    return fmt::format("{}: given up: {}", name(e.image), first_line(e.reason));
  }
  Line operator()(const journal::ImageHeld&) const { return std::nullopt; }
  Line operator()(const journal::VolumeStarted& e) const {
    return fmt::format("volume {} in slot {}", printable(e.label), printable(e.slot));
  }
  Line operator()(const journal::ImageWriteStarted&) const { return std::nullopt; }
  Line operator()(const journal::PartWritten&) const { return std::nullopt; }
  Line operator()(const journal::PartFailed& e) const {
    return fmt::format("{}: part {} failed on {}: {}", name(e.image), e.part, printable(e.label),
                       first_line(e.reason));
  }
  Line operator()(const journal::ImageWritten& e) const {
    const auto speed = rate(e.bytes, e.seconds);
    return fmt::format("{}: written, {}{}", name(e.image),
                       count_of(static_cast<uint64_t>(std::max(e.parts, 0)), "part"),
                       speed.empty() ? "" : ", " + speed);
  }
  Line operator()(const journal::ImageWriteFailed& e) const {
    return fmt::format("{}: {}: {}", name(e.image),
                       e.will_retry ? "writing failed, will be tried again" : "WRITING FAILED",
                       first_line(e.reason));
  }
  Line operator()(const journal::ImageLeftOnHolding& e) const {
    return fmt::format("{}: left on holding disk: {}", name(e.image), first_line(e.reason));
  }
  Line operator()(const journal::VolumeFinished& e) const {
    return fmt::format("volume {}: {} in {} [{}]", printable(e.label), human_kib(e.kib),
                       count_of(e.files, "file"), first_line(e.message));
  }
  Line operator()(const journal::NoVolume& e) const {
    const std::string of = e.storage.empty() ? "" : " of storage " + printable(e.storage);
    return fmt::format("NO VOLUME{}: {}", of, first_line(e.reason));
  }
  Line operator()(const journal::DumpPaused& e) const {
    if (e.by != "operator") return std::nullopt;
    return fmt::format("{}: paused", dle_name({e.host, e.disk, {}, 0}));
  }
  Line operator()(const journal::DumpResumed& e) const {
    if (e.by != "operator") return std::nullopt;
    return fmt::format("{}: resumed", dle_name({e.host, e.disk, {}, 0}));
  }
  Line operator()(const journal::LimitChanged& e) const { return limit_sentence(e); }
  Line operator()(const journal::Verdict&) const { return std::nullopt; }
  Line operator()(const journal::RunVerdict&) const { return std::nullopt; }
  Line operator()(const journal::Unknown&) const { return std::nullopt; }
};

}  // namespace

std::vector<std::string> progress_screen(const RunState& state, int64_t now_us, const Screen& screen) {
  const size_t width = std::max<size_t>(screen.width, 20);
  const size_t height = std::max<size_t>(screen.height, 4);
  const size_t bar_width = std::clamp<size_t>(width / 5, 4, 30);
  size_t name_width = 0;
  for (const auto& dump : state.dumps) name_width = std::max(name_width, width_of(dle_name(dump.image)));
  name_width = std::min(name_width, width / 3);

  std::vector<std::string> lines;
  lines.push_back(
      fmt::format("headrace {} {}  {}  {}{}", state.run.kind == journal::RunKind::flush ? "flush" : "dump",
                  printable(state.run.config), readable_timestamp(state.run.timestamp),
                  duration(static_cast<double>(now_us - state.started_us) / 1e6),
                  state.planned || state.run.kind == journal::RunKind::flush ? "" : "  planning"));
  totals(state, now_us, bar_width, lines);
  lines.push_back(counts(state));
  if (auto changed = changes_line(state); !changed.empty()) lines.push_back(std::move(changed));
  if (const auto* verdict = state.verdicts.current(); verdict != nullptr && verdict->verdict != "none")
    lines.push_back("in the way: " + verdict_sentence(*verdict));
  lines.emplace_back();

  // What moves is shown first, then trouble, then what waits, as far as there is room.
  std::vector<std::string> rows;
  const auto active = std::ranges::count_if(state.dumps, [](const DumpState& dump) {
    return dump.phase == Phase::dumping || dump.phase == Phase::writing;
  });
  const bool explained = lines.size() + 2 * static_cast<size_t>(active) <= height;
  for (const auto& dump : state.dumps) {
    if (dump.phase != Phase::dumping && dump.phase != Phase::writing) continue;
    rows.push_back(active_line(dump, now_us, name_width, bar_width / 2));
    const auto* verdict = dump.verdicts.current();
    if (verdict == nullptr) continue;
    if (explained)
      rows.push_back("    " + verdict_sentence(*verdict));
    else
      rows.back() += "  " + verdict_words(*verdict);
  }
  for (const auto& dump : state.dumps)
    if (auto line = trouble_line(dump, name_width); !line.empty()) rows.push_back(std::move(line));
  for (const auto& dump : state.dumps)
    if (dump.phase == Phase::planned || dump.phase == Phase::held)
      rows.push_back(idle_line(dump, name_width));
  const size_t room = height > lines.size() ? height - lines.size() : 0;
  if (rows.size() > room && room > 0) {
    const size_t more = rows.size() - (room - 1);
    rows.resize(room - 1);
    rows.push_back(fmt::format("… and {} more", more));
  }
  lines.insert(lines.end(), rows.begin(), rows.end());
  if (lines.size() > height) lines.resize(height);
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  for (auto& line : lines) {
    line.erase(line.find_last_not_of(' ') + 1);
    line = cut(line, width);
  }
  return lines;
}

std::optional<std::string> progress_line(const journal::Body& body) { return std::visit(ToLine{}, body); }

}  // namespace headrace::observe
