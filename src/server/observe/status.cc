#include "server/observe/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "server/observe/changes.h"
#include "server/observe/text.h"
#include "server/observe/verdict_text.h"

namespace headrace::observe {
namespace {

using journal::DumpState;
using journal::Phase;
using journal::RunState;
using Align = Table::Align;

// A dump that brings nothing for so long is worth a word.
constexpr double kSilentSeconds = 10;

std::string human_kib(uint64_t kib) { return base::human_bytes(kib * base::kKiB); }

std::string headline(const RunState& state, const StatusOptions& options) {
  const auto& run = state.run;
  std::string out =
      fmt::format("{}: {} of {}\n", printable(run.config.empty() ? "(unnamed)" : run.config),
                  run.kind == journal::RunKind::flush ? "flush" : "run", readable_timestamp(run.timestamp));
  switch (options.life) {
    case Life::running:
      out += fmt::format("{} for {}, process {} on {}\n",
                         state.planned || state.run.kind == journal::RunKind::flush ? "running" : "planning",
                         duration(static_cast<double>(options.now_us - state.started_us) / 1e6), run.pid,
                         printable(run.hostname));
      break;
    case Life::finished:
      out += fmt::format("finished at {} after {}: {}", clock_time(state.last_us),
                         duration(state.elapsed_seconds()), exit_status_text(status_bits_of(state)));
      if (const int status = status_bits_of(state); status != 0)
        out += fmt::format(" (exit status {})", status);
      out += "\n";
      break;
    case Life::died:
      out += fmt::format(
          "DID NOT FINISH: process {} on {} is gone; its last sign of life was at {}, after {}.\n"
          "What was complete is kept; what is on holding disk can be flushed, and the next run says what was "
          "lost.\n",
          run.pid, printable(run.hostname), clock_time(state.last_us), duration(state.elapsed_seconds()));
      break;
  }
  return out;
}

void add(std::string& note, const std::string& more) {
  if (!more.empty()) note += (note.empty() ? "" : "; ") + more;
}

std::string labels_of(const DumpState& dump) {
  std::string out;
  for (const auto& writing : dump.writings)
    for (const auto& label : writing.labels) out += (out.empty() ? "" : ", ") + printable(label);
  return out;
}

// Where an image is being written to, also before its first part is there: the volume of its last part, or on
// which it began; when that is at its end, the newest.
std::string volume_of(const RunState& state, const DumpState& dump) {
  const auto& writing = dump.writing();
  const std::string& last = writing.labels.empty() ? writing.begun_on : writing.labels.back();
  const bool in_use = std::ranges::any_of(
      state.volumes, [&last](const auto& it) { return it.label == last && !it.finished; });
  if (in_use) return printable(last);
  if (!state.volumes.empty() && !state.volumes.back().finished) return printable(state.volumes.back().label);
  return labels_of(dump);
}

std::string moving_note(const RunState& state, const DumpState& dump, const Movement& moved) {
  std::string note;
  if (dump.paused) {
    add(note, "PAUSED");
    return note;
  }
  add(note, turn_sentence(dump));
  if (const double left = moved.seconds_left(); left >= 0 && moved.idle_seconds < kSilentSeconds)
    add(note, fmt::format("about {} left", duration(left)));
  if (moved.idle_seconds >= kSilentSeconds) add(note, "NO DATA for " + duration(moved.idle_seconds));
  if (!dump.waits_for.empty()) add(note, "held up by " + printable(dump.waits_for));
  if (dump.phase == Phase::writing)
    if (const auto label = volume_of(state, dump); !label.empty()) add(note, "to " + label);
  if (dump.phase == Phase::dumping && dump.attempts.size() > 1)
    add(note, fmt::format("try {}; the one before: {}", dump.attempts.back().number,
                          first_line(dump.attempts[dump.attempts.size() - 2].failure)));
  return note;
}

std::string missing_note(const DumpState& dump) {
  if (dump.phase == Phase::dumping) return "cut off after " + base::human_bytes(dump.bytes);
  if (!dump.failure.empty()) return "last try failed: " + first_line(dump.failure);
  if (dump.phase == Phase::writing) return "cut off on its way to the volume";
  return dump.phase == Phase::chosen ? "never planned" : "never started";
}

// "waits for another dump to end (inparallel); inparallel is 4"
std::string waits_note(const DumpState& dump) {
  std::string note = "waits for " + printable(dump.waits_for);
  for (const auto& it : dump.parameters)
    add(note, printable(fmt::format("{}{}{} is {}", it.name, it.of.empty() ? "" : " of ", it.of, it.value)));
  return note;
}

std::string note_of(const RunState& state, const DumpState& dump, const StatusOptions& options,
                    const Movement& moved) {
  const bool running = options.life == Life::running;
  std::string note;
  if (is_missing(dump, options.life)) return missing_note(dump);
  switch (dump.phase) {
    case Phase::dumping:
    case Phase::writing:
      if (running) note = moving_note(state, dump, moved);
      break;
    case Phase::chosen:
      break;
    case Phase::planned:
      if (!dump.waits_for.empty()) note = waits_note(dump);
      if (!dump.failure.empty()) add(note, "last try failed: " + first_line(dump.failure));
      break;
    case Phase::held:
      if (running && !dump.waits_for.empty()) note = waits_note(dump);
      break;
    case Phase::written:
      note = labels_of(dump);
      if (dump.retried()) add(note, fmt::format("at try {}", dump.attempts.back().number));
      break;
    case Phase::left:
      note = first_line(dump.left_reason.empty() ? dump.writing().failure : dump.left_reason);
      break;
    case Phase::failed:
      note = first_line(dump.failure);
      break;
    case Phase::skipped:
      note = printable(dump.plan_reason);
      break;
  }
  if (dump.strange) add(note, "STRANGE");
  return note;
}

std::vector<std::string> line_of(const RunState& state, const DumpState& dump, const StatusOptions& options) {
  const auto moved = movement_of(dump, options.now_us);
  const bool running = options.life == Life::running;
  const bool moves = running && (dump.phase == Phase::dumping || dump.phase == Phase::writing);
  const bool sized = dump.dumped || dump.flush;
  std::string size;
  std::string of;
  if (moves) {
    size = base::human_bytes(moved.bytes);
    if (moved.expected > 0) of = "of " + base::human_bytes(moved.expected);
  } else if (sized) {
    size = human_kib(dump.stored_kib);
  } else if (dump.est_stored_kib > 0 && dump.phase == Phase::planned && running) {
    of = "of " + human_kib(dump.est_stored_kib);
  }
  std::string speed;
  if (moves)
    speed = rate(moved.bytes, moved.seconds);
  else if (dump.dumped)
    speed = rate(dump.stored_kib * base::kKiB, dump.dump_seconds);
  return {dle_name(dump.image),
          dump.flush ? "of " + readable_timestamp(dump.image.timestamp).substr(0, 10) : "",
          dump.phase != Phase::chosen ? std::to_string(dump.image.level) : "",
          state_word(dump, options.life),
          size,
          of,
          moves ? percent(moved.bytes, moved.expected) : "",
          speed,
          note_of(state, dump, options, moved)};
}

// What moves, what waits, what is over.
int rank(const DumpState& dump) {
  if (dump.phase == Phase::dumping) return 0;
  if (dump.phase == Phase::writing) return 1;
  if (!dump.ended()) return 2;
  return 3;
}

std::string dump_lines(const RunState& state, const StatusOptions& options) {
  std::vector<std::pair<int, const DumpState*>> order;
  order.reserve(state.dumps.size());
  for (const auto& dump : state.dumps) order.emplace_back(rank(dump), &dump);
  // Within a rank in the order of the journal; addresses within the one vector have it.
  std::ranges::sort(order);
  Table table({Align::left, Align::left, Align::right, Align::left, Align::right, Align::left, Align::right,
               Align::right, Align::left});
  for (const auto& [rank, dump] : order) table.row(line_of(state, *dump, options));
  return table.text("  ");
}

std::string summary(const RunState& state, Life life) {
  const auto sums = sums_of(state, life);
  struct Line {
    const char* name;
    const Sum& sum;
    bool always;
  };
  const Line lines[] = {{"in this run", sums.all, true},        {"  of them flushed", sums.flushes, false},
                        {"estimating", sums.estimating, false}, {"waiting", sums.waiting, false},
                        {"dumping", sums.dumping, false},       {"dumped", sums.dumped, true},
                        {"held for writing", sums.held, false}, {"writing", sums.writing, false},
                        {"written", sums.written, true},        {"left on holding disk", sums.left, false},
                        {"failed", sums.failed, false},         {"missing", sums.missing, false},
                        {"skipped", sums.skipped, false}};
  Table table({Align::left, Align::right, Align::right, Align::right, Align::right});
  table.row({"SUMMARY", "dumps", "size", "expected"});
  for (const auto& [name, sum, always] : lines) {
    if (sum.dumps == 0 && !always) continue;
    const bool sized = sum.kib > 0;
    table.row({name, std::to_string(sum.dumps), sized ? human_kib(sum.kib) : "",
               sum.expected_kib > 0 ? human_kib(sum.expected_kib) : "",
               sized && &sum != &sums.all && &sum != &sums.flushes && sum.expected_kib > 0
                   ? fmt::format("({})", percent(sum.kib, sum.expected_kib))
                   : ""});
  }
  return table.text();
}

std::string volume_lines(const RunState& state, Life life) {
  Table table({Align::left, Align::left, Align::right, Align::left, Align::right, Align::left, Align::left});
  for (const auto& volume : state.volumes) {
    const uint64_t used = volume.used_kib();
    table.row(
        {"volume " + printable(volume.label),
         volume.slot.empty() ? "" : "slot " + printable(volume.slot) + of_storage(state, volume.storage),
         human_kib(used), volume.length_kib > 0 ? "of " + human_kib(volume.length_kib) : "",
         percent(used, volume.length_kib),
         fmt::format("{}, {}", count_of(images_on(state, volume.label), "dump"),
                     count_of(volume.parts, "part")),
         !volume.finished         ? (life == Life::running ? "in use" : "not closed")
         : volume.message == "OK" ? ""
                                  : first_line(volume.message)});
  }
  std::string out = table.text();
  for (const auto& it : state.no_volume)
    out += fmt::format("NO VOLUME{}: {}\n", of_storage(state, it.storage), first_line(it.reason));
  return out;
}

std::string warnings(const RunState& state) {
  std::string out;
  for (const auto& leftover : state.leftovers) out += "  " + first_line(leftover.what) + "\n";
  for (const auto& note : state.notes)
    if (note.severity != journal::Severity::info)
      out += fmt::format("  {}: {}\n", printable(note.program), first_line(note.text));
  return out.empty() ? out : "NOTES\n" + out;
}

}  // namespace

std::string status_text(const RunState& state, const StatusOptions& options) {
  std::string out = headline(state, options);
  const auto block = [&out](const std::string& text) {
    if (!text.empty()) out += "\n" + text;
  };
  block(dump_lines(state, options));
  if (options.life == Life::running) block(in_the_way(state));
  block(summary(state, options.life));
  block(volume_lines(state, options.life));
  if (options.life == Life::running) block(changes_text(state));
  block(warnings(state));
  return out;
}

}  // namespace headrace::observe
