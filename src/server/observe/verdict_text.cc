#include "server/observe/verdict_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/quote.h"
#include "server/observe/text.h"

namespace headrace::observe {
namespace {

using journal::DumpState;
using journal::VerdictSpan;
using journal::VerdictSpans;

// A rate that changed by less is not worth a word.
constexpr double kOtherRate = 1.25;
// A stretch that is shorter, as a share of the whole, is left out of the report.
constexpr double kShortShare = 0.05;

std::string per_second(uint64_t bytes) { return base::human_bytes(bytes) + "/s"; }

std::string rates(const VerdictSpan& span) {
  const auto first = static_cast<double>(span.first_rate);
  const auto last = static_cast<double>(span.last_rate);
  if (first <= 0 && last <= 0) return {};
  if (first > last * kOtherRate || last > first * kOtherRate)
    return fmt::format("{} → {}", per_second(span.first_rate), per_second(span.last_rate));
  return per_second(span.last_rate);
}

double total_of(const std::vector<std::pair<std::string, double>>& shares) {
  double total = 0;
  for (const auto& [verdict, seconds] : shares) total += seconds;
  return total;
}

// "holding disk 71%, network 29% of 1:02:11".
std::string shares_text(const std::vector<std::pair<std::string, double>>& shares) {
  const double total = total_of(shares);
  std::string out;
  for (const auto& [verdict, seconds] : shares) {
    const double share = total > 0 ? seconds / total : 0;
    if (share < 0.005 && !out.empty()) continue;
    out += fmt::format("{}{} {:.0f}%", out.empty() ? "" : ", ", printable(verdict), share * 100);
  }
  return out + " of " + duration(total);
}

std::string stretches(const VerdictSpans& verdicts, const std::vector<std::string>& phases) {
  const double total = total_of(verdicts.seconds_by_verdict(phases));
  std::string out;
  for (const auto& span : verdicts.spans()) {
    if (std::ranges::find(phases, span.phase) == phases.end() || span.seconds() < total * kShortShare)
      continue;
    out += fmt::format("    from {} for {}: {}\n      {}\n", clock_time(span.from_us),
                       duration(span.seconds()), verdict_rated(span), printable(span.evidence));
  }
  return out;
}

std::string of_dump(const DumpState& dump) {
  const std::vector<std::string> dumping = {"dumping"};
  const std::vector<std::string> writing = {"writing"};
  const std::vector<std::string> waiting = {"planned"};
  std::string out;
  const auto dumped = dump.verdicts.seconds_by_verdict(dumping);
  const auto written = dump.verdicts.seconds_by_verdict(writing);
  const auto waited = dump.verdicts.seconds_by_verdict(waiting);
  const std::string name = printable(
      fmt::format("  {} {} lev {}", dump.image.host, base::quote(dump.image.disk), dump.image.level));
  if (total_of(waited) >= 1) out += fmt::format("{}  waited: {}\n", name, shares_text(waited));
  if (!dumped.empty())
    out += fmt::format("{}  dumped: {}\n", name, shares_text(dumped)) + stretches(dump.verdicts, dumping);
  if (!written.empty())
    out += fmt::format("{}  written: {}\n", name, shares_text(written)) + stretches(dump.verdicts, writing);
  return out;
}

}  // namespace

std::string verdict_words(const VerdictSpan& span) {
  return fmt::format("{} ({:.0f} % sure)", printable(span.verdict), span.confidence * 100);
}

std::string verdict_rated(const VerdictSpan& span) {
  const auto rate = rates(span);
  return verdict_words(span) + (rate.empty() ? "" : ", " + rate);
}

std::string verdict_sentence(const VerdictSpan& span) {
  return fmt::format("{}: {}", verdict_rated(span), printable(span.evidence));
}

std::string in_the_way(const journal::RunState& state) {
  std::vector<std::pair<std::string, const VerdictSpan*>> rows;
  if (const auto* run = state.verdicts.current()) rows.emplace_back("the run", run);
  for (const auto& dump : state.dumps) {
    if (dump.phase != journal::Phase::dumping && dump.phase != journal::Phase::writing) continue;
    if (const auto* verdict = dump.verdicts.current()) rows.emplace_back(dle_name(dump.image), verdict);
  }
  size_t width = 0;
  for (const auto& [name, span] : rows) width = std::max(width, width_of(name));
  std::string out;
  for (const auto& [name, span] : rows)
    out += fmt::format("  {}  since {}  {}\n      {}\n", fit(name, width), clock_time(span->from_us),
                       verdict_rated(*span), printable(span->evidence));
  return out.empty() ? out : "IN THE WAY\n" + out;
}

std::string where_the_time_went(const journal::RunState& state) {
  std::string out;
  if (const auto run = state.verdicts.seconds_by_verdict(); !run.empty())
    out += "  the run: " + shares_text(run) + "\n";
  for (const auto& dump : state.dumps) out += of_dump(dump);
  return out;
}

}  // namespace headrace::observe
