#include "server/observe/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "base/bytes.h"
#include "base/quote.h"
#include "server/observe/dump_summary.h"
#include "server/observe/facts.h"
#include "server/observe/lower_bound.h"
#include "server/observe/text.h"
#include "server/observe/verdict_text.h"

namespace headrace::observe {
namespace {

using journal::DumpState;
using journal::Phase;
using journal::RunState;

std::string long_date(const std::string& t) {
  constexpr std::array<const char*, 12> kMonths = {"January",   "February", "March",    "April",
                                                   "May",       "June",     "July",     "August",
                                                   "September", "October",  "November", "December"};
  const auto number = [&t](size_t at, size_t length) {
    int value = 0;
    for (const char c : t.substr(at, length)) value = value * 10 + (c - '0');
    return value;
  };
  if (t.size() != 14 || t.find_first_not_of("0123456789") != std::string::npos) return printable(t);
  const int month = number(4, 2);
  if (month < 1 || month > 12) return t;
  return fmt::format("{} {}, {} {}:{}", kMonths[static_cast<size_t>(month - 1)], number(6, 2), number(0, 4),
                     t.substr(8, 2), t.substr(10, 2));
}

// "localhost /srv/d1 lev 0", as amreport names a dump.
std::string long_name(const DumpState& dump) {
  return printable(
      fmt::format("{} {} lev {}", dump.image.host, base::quote(dump.image.disk), dump.image.level));
}

std::string header(const RunState& state, Life life) {
  std::string out;
  if (life == Life::died) out += "*** THE DUMPS DID NOT FINISH PROPERLY!\n\n";
  if (life == Life::running) out += "*** THE RUN STILL GOES ON; this is how far it is.\n\n";
  out +=
      fmt::format("Hostname: {}\nOrg     : {}\nConfig  : {}\nDate    : {}\n", printable(state.run.hostname),
                  printable(state.run.org), printable(state.run.config), long_date(state.run.timestamp));
  return out;
}

std::string tape_info(const RunState& state, const ReportOptions& options) {
  std::string out;
  // In the order in which the storages began.
  std::vector<std::string> storages;
  for (const auto& volume : state.volumes)
    if (std::ranges::find(storages, volume.storage) == storages.end()) storages.push_back(volume.storage);
  for (const auto& storage : storages) {
    std::string labels;
    size_t count = 0;
    for (const auto& volume : state.volumes) {
      if (volume.storage != storage) continue;
      ++count;
      labels += (labels.empty() ? "" : ", ") + printable(volume.label);
    }
    const std::string to =
        state.several_storages() ? fmt::format(" to storage '{}'", printable(storage)) : "";
    out +=
        fmt::format("{} {} {}.\n",
                    state.run.kind == journal::RunKind::flush ? fmt::format("The dumps{} were flushed to", to)
                                                              : fmt::format("These dumps{} were to", to),
                    count == 1 ? "tape" : "tapes", labels);
  }
  for (const auto& it : state.no_volume) {
    const std::string why = printable(it.reason);
    const std::string of = of_storage(state, it.storage);
    out += it.trouble == journal::VolumeTrouble::config
               ? fmt::format("Not using all tapes{} because {}.\n", of, why)
               : fmt::format("*** A TAPE ERROR OCCURRED{}: [{}].\n", of, why);
  }
  const auto left = sums_of(state, options.life).left;
  if (left.dumps > 0)
    out += fmt::format("There are {:.0f}{} of dumps left in the holding disk.\n{}\n",
                       std::ceil(static_cast<double>(left.kib) / static_cast<double>(options.unit_kib)),
                       options.unit,
                       options.autoflush ? "They will be flushed on the next run."
                                         : "Run amflush, or set autoflush, to have them written to tape.");
  return out;
}

std::string failure_summary(const RunState& state, Life life) {
  std::string out;
  for (const auto& note : state.notes)
    if (note.severity == journal::Severity::error || note.severity == journal::Severity::fatal)
      out += fmt::format("  {}: {} {}\n", printable(note.program),
                         note.severity == journal::Severity::fatal ? "FATAL" : "ERROR", printable(note.text));
  for (const auto& dump : state.dumps) {
    const std::string name = "  " + long_name(dump);
    std::string last;
    for (const auto& attempt : dump.attempts)
      if (!attempt.failure.empty()) {
        last = attempt.failure;
        out += fmt::format("{}  FAILED [{}]\n", name, first_line(attempt.failure));
      }
    if (dump.phase == Phase::failed && dump.failure != last)
      out += fmt::format("{}  FAILED [{}]\n", name, first_line(dump.failure));
    if (dump.retried()) out += fmt::format("{}  was successfully retried\n", name);
    if (is_missing(dump, life))
      out += fmt::format("  {} {} RESULTS MISSING\n", printable(dump.image.host),
                         printable(base::quote(dump.image.disk)));
    if (dump.phase == Phase::written) continue;
    for (const auto& writing : dump.writings)
      if (!writing.failure.empty())
        out += fmt::format("{}  {}taper{}: {}\n", name, writing.partial ? "partial " : "",
                           of_storage(state, writing.storage), first_line(writing.failure));
  }
  return out;
}

std::string strange_summary(const RunState& state) {
  std::string out;
  for (const auto& dump : state.dumps)
    if (dump.strange) out += fmt::format("  {}  STRANGE (see below)\n", long_name(dump));
  return out;
}

// --- statistics
// ---------------------------------------------------------------------------------------------

constexpr int kNameWidth = 25;

std::string counts(const std::map<int, uint64_t>& by_level) {
  std::string out;
  for (const auto& [level, count] : by_level)
    if (level > 0) out += fmt::format("{}{}:{}", out.empty() ? "" : " ", level, count);
  return out.empty() ? out : "  " + out;
}

std::string statistics_line(const char* name, const Statistics& all, bool full_too,
                            const std::function<std::string(const Figures&)>& value,
                            const std::string& more = "") {
  std::string out = fmt::format("{:<{}}{:>9}", name, kNameWidth, value(all.total));
  if (full_too) out += fmt::format("{:>11}{:>11}", value(all.full), value(all.incremental));
  return out + more + "\n";
}

std::string h_m_s(double seconds) {
  const auto whole = std::llround(std::clamp(std::isfinite(seconds) ? seconds : 0, 0.0, 1e9));
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}
std::string meg(uint64_t kib) { return fmt::format("{:.1f}", static_cast<double>(kib) / 1024); }
std::string share(uint64_t part, uint64_t whole) {
  return whole == 0 ? "--"
                    : fmt::format("{:.1f}", static_cast<double>(part) * 100 / static_cast<double>(whole));
}
std::string speed(double kps) { return kps <= 0 ? "--" : fmt::format("{:.1f}", kps); }

std::string statistics_text(const RunState& state) {
  const auto all = statistics_of(state);
  std::string out =
      fmt::format("{:{}}{:>9}{:>11}{:>11}{:>10}\n{:{}}{:>9}{:>11}{:>11}{:>10}\n", "", kNameWidth, "Total",
                  "Full", "Incr.", "Level:#", "", kNameWidth, "--------", "--------", "--------", "--------");
  out += fmt::format("{:<{}}{:>9}\n", "Estimate Time (h:mm:ss)", kNameWidth, h_m_s(state.plan_seconds));
  out += fmt::format("{:<{}}{:>9}\n", "Run Time (h:mm:ss)", kNameWidth,
                     h_m_s(state.finished ? state.finished->seconds : state.elapsed_seconds()));
  out += statistics_line("Dump Time (h:mm:ss)", all, true,
                         [](const Figures& f) { return h_m_s(f.dump_seconds); });
  out += statistics_line("Output Size (meg)", all, true, [](const Figures& f) { return meg(f.stored_kib); });
  out +=
      statistics_line("Original Size (meg)", all, true, [](const Figures& f) { return meg(f.native_kib); });
  out += statistics_line("Avg Compressed Size (%)", all, true,
                         [](const Figures& f) { return share(f.stored_kib, f.native_kib); });
  out += statistics_line(
      "DLEs Dumped", all, true, [](const Figures& f) { return std::to_string(f.dumped); },
      counts(all.total.dumped_by_level));
  out +=
      statistics_line("Avg Dump Rate (k/s)", all, true, [](const Figures& f) { return speed(f.dump_kps()); });
  out += "\n";
  out += statistics_line("Tape Time (h:mm:ss)", all, true,
                         [](const Figures& f) { return h_m_s(f.tape_seconds); });
  out += statistics_line("Tape Size (meg)", all, true, [](const Figures& f) { return meg(f.tape_kib); });
  out += statistics_line("Tape Used (%)", all, true,
                         [&all](const Figures& f) { return share(f.tape_kib, all.volume_kib); });
  out += statistics_line(
      "DLEs Taped", all, true, [](const Figures& f) { return std::to_string(f.taped); },
      counts(all.total.taped_by_level));
  out += statistics_line(
      "Parts Taped", all, true, [](const Figures& f) { return std::to_string(f.parts); },
      counts(all.total.parts_by_level));
  out += statistics_line("Avg Tp Write Rate (k/s)", all, true,
                         [](const Figures& f) { return speed(f.tape_kps()); });
  return out;
}

std::string usage_by_tape(const RunState& state, const ReportOptions& options) {
  if (state.volumes.empty()) return {};
  using Align = Table::Align;
  Table table({Align::left, Align::right, Align::right, Align::right, Align::right, Align::right});
  table.row({"Label", "Time", "Size", "%", "DLEs", "Parts"});
  for (const auto& volume : state.volumes)
    table.row({printable(volume.label), h_m_s(volume.seconds),
               fmt::format("{:.0f}{:c}",
                           static_cast<double>(volume.used_kib()) / static_cast<double>(options.unit_kib),
                           static_cast<char>(options.unit >= 'a' && options.unit <= 'z' ? options.unit - 32
                                                                                        : options.unit)),
               share(volume.used_kib(), volume.length_kib), std::to_string(images_on(state, volume.label)),
               std::to_string(volume.parts)});
  return table.text("  ");
}

// --- details
// ------------------------------------------------------------------------------------------------

std::string block(const std::string& title, const std::vector<std::string>& messages) {
  std::string out = "  /-- " + title + "\n";
  for (const auto& message : messages) out += "  " + printable(message) + "\n";
  return out + "  \\--------\n\n";
}

std::string failed_details(const RunState& state) {
  std::string out;
  for (const auto& dump : state.dumps)
    for (const auto& attempt : dump.attempts)
      if (!attempt.failure.empty() && !attempt.messages.empty())
        out += block(fmt::format("{} FAILED [{}]", long_name(dump), first_line(attempt.failure)),
                     attempt.messages);
  return out;
}

std::string strange_details(const RunState& state) {
  std::string out;
  for (const auto& dump : state.dumps)
    if (dump.strange) out += block(long_name(dump) + " STRANGE", dump.messages);
  return out;
}

std::string notes(const RunState& state) {
  std::string out;
  for (const auto& leftover : state.leftovers)
    out += fmt::format("  driver: {}\n", first_line(leftover.what));
  for (const auto& note : state.notes)
    if (note.severity == journal::Severity::info || note.severity == journal::Severity::warning)
      out += fmt::format("  {}: {}\n", printable(note.program), printable(note.text));
  for (const auto& part : state.failed_parts)
    out += fmt::format("  taper: tape {} file {}: part {} of {} failed: {}\n", printable(part.label),
                       part.fileno, part.part, dle_name(part.image), first_line(part.reason));
  for (const auto& volume : state.volumes)
    if (volume.finished)
      out += fmt::format("  taper: tape {} kb {} fm {} [{}]\n", printable(volume.label), volume.kib,
                         volume.files, first_line(volume.message));
  for (const auto& dump : state.dumps)
    if (dump.phase == Phase::left)
      out += fmt::format("  driver: {} level {} stays on holding disk: {}\n", dle_name(dump.image),
                         dump.image.level,
                         first_line(dump.left_reason.empty() ? dump.writing().failure : dump.left_reason));
  if (state.unknown_events > 0)
    out += fmt::format("  driver: {} in the journal of a newer Headrace not understood\n",
                       count_of(state.unknown_events, "event"));
  return out;
}

Json figures_json(const Figures& f) {
  return {{"dumped", f.dumped},         {"dump_seconds", f.dump_seconds}, {"native_kib", f.native_kib},
          {"stored_kib", f.stored_kib}, {"dump_kps", f.dump_kps()},       {"taped", f.taped},
          {"parts", f.parts},           {"tape_seconds", f.tape_seconds}, {"tape_kib", f.tape_kib},
          {"tape_kps", f.tape_kps()}};
}

}  // namespace

double Figures::dump_kps() const {
  return dump_seconds > 0 ? static_cast<double>(stored_kib) / dump_seconds : 0;
}
double Figures::tape_kps() const {
  return tape_seconds > 0 ? static_cast<double>(tape_kib) / tape_seconds : 0;
}

Statistics statistics_of(const RunState& state) {
  Statistics all;
  for (const auto& volume : state.volumes) all.volume_kib += volume.length_kib;
  for (const auto& dump : state.dumps) {
    for (Figures* f : {&all.total, dump.is_full() ? &all.full : &all.incremental}) {
      if (dump.dumped) {
        ++f->dumped;
        ++f->dumped_by_level[dump.image.level];
        f->dump_seconds += dump.dump_seconds;
        f->native_kib += dump.native_kib;
        f->stored_kib += dump.stored_kib;
      }
      for (const auto& writing : dump.writings) {
        if (!writing.written) continue;
        ++f->taped;
        ++f->taped_by_level[dump.image.level];
        f->parts += static_cast<uint64_t>(std::max(writing.parts, 0));
        f->parts_by_level[dump.image.level] += static_cast<uint64_t>(std::max(writing.parts, 0));
        f->tape_seconds += writing.seconds;
        f->tape_kib += base::to_kib(writing.bytes);
      }
    }
  }
  return all;
}

std::string report_text(const RunState& state, const ReportOptions& options) {
  std::string out = header(state, options.life);
  if (const auto info = tape_info(state, options); !info.empty()) out += "\n" + info;
  out += "\n";
  const auto section = [&out](const char* title, const std::string& text) {
    if (text.empty()) return;
    out += fmt::format("{}:\n{}", title, text);
    // Two blank lines between sections, whether or not the last block brought one.
    out += text.ends_with("\n\n") ? "\n" : "\n\n";
  };
  section("FAILURE DUMP SUMMARY", failure_summary(state, options.life));
  section("STRANGE DUMP SUMMARY", strange_summary(state));
  section("STATISTICS", statistics_text(state));
  section("USAGE BY TAPE", usage_by_tape(state, options));
  const auto bound = options.life == Life::finished ? lower_bound_line(state) : "";
  section("WHERE THE TIME WENT", (bound.empty() ? "" : "  " + bound) + where_the_time_went(state));
  section("FAILED DUMP DETAILS", failed_details(state));
  section("STRANGE DUMP DETAILS", strange_details(state));
  section("NOTES", notes(state));
  section("DUMP SUMMARY", dump_summary(state, options));
  out.pop_back();
  return out + fmt::format("(brought to you by Headrace version {})\n", printable(state.run.version));
}

std::string report_json(const RunState& state, const ReportOptions& options) {
  auto out = facts_of(state, options.life, state.last_us);
  const auto all = statistics_of(state);
  out["statistics"] = {{"estimate_seconds", state.plan_seconds},
                       {"run_seconds", state.finished ? state.finished->seconds : state.elapsed_seconds()},
                       {"total", figures_json(all.total)},
                       {"full", figures_json(all.full)},
                       {"incremental", figures_json(all.incremental)}};
  if (options.life == Life::finished) {
    const auto bound = lower_bound_of(state);
    Json bounds = Json::array();
    for (const auto& it : bound.bounds)
      bounds.push_back({{"joint", it.joint}, {"of", it.of}, {"seconds", it.seconds}});
    out["lower_bound"] = {{"seconds", bound.bounds.empty() ? 0 : bound.bounds.front().seconds},
                          {"efficiency", bound.efficiency()},
                          {"bounds", std::move(bounds)}};
  }
  return text_of(out);
}

}  // namespace headrace::observe
