#include "server/observe/lower_bound.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "server/observe/text.h"

namespace headrace::observe {
namespace {

using journal::DumpState;
using journal::Phase;
using journal::RunState;

// What Amanda expects of a dump that has no history (KiB/s).
constexpr double kUnknownKps = 1024;

struct Span {
  double from = 0, to = 0;
};

// The most that went on at one moment; at least 1.
double most_at_once(const std::vector<Span>& spans) {
  std::vector<std::pair<double, int>> turns;
  for (const auto& span : spans) {
    turns.emplace_back(span.from, 1);
    turns.emplace_back(span.to, -1);  // sorts before a begin of the same moment
  }
  std::ranges::sort(turns);
  int now = 0;
  int most = 1;
  for (const auto& [at, change] : turns) most = std::max(most, now += change);
  return most;
}

// Of dumps that came in whole; for volumes their way there counts as writing.
bool goes_to_volume(const DumpState& dump) {
  return !dump.attempts.empty() && dump.attempts.back().to == journal::Destination::volume;
}

// To the storage that took longest: it is written to several at once.
double write_seconds(const DumpState& dump) {
  if (dump.phase != Phase::written || goes_to_volume(dump)) return 0;
  double most = 0;
  for (const auto& writing : dump.writings) most = std::max(most, writing.seconds);
  return most;
}

struct Writing {
  Span span;  // by the clock of the journal
  double ready =
      0;  // when its dump could have ended at best; of dumps for volumes, and of earlier ones, at once
};

// In the writers' hands; by storage.
std::map<std::string, std::vector<Writing>> writings_of(const RunState& state) {
  std::map<std::string, std::vector<Writing>> writings;
  for (const auto& dump : state.dumps) {
    for (const auto& writing : dump.writings) {
      if (!writing.written) continue;
      const double seconds = goes_to_volume(dump) ? dump.dump_seconds : writing.seconds;
      const double from = static_cast<double>(writing.started_us - state.started_us) / 1e6;
      const bool was_held = dump.dumped && !goes_to_volume(dump);
      writings[writing.storage].push_back(
          {{from, from + seconds}, was_held ? state.plan_seconds + dump.dump_seconds : 0});
    }
  }
  return writings;
}

// No writer begins what is not there yet.
double least_to_write(std::vector<Writing> writings) {
  std::vector<Span> spans;
  for (const auto& it : writings) spans.push_back(it.span);
  const double writers = most_at_once(spans);
  std::ranges::sort(writings, std::greater(), &Writing::ready);
  double seconds = 0;
  double least = 0;
  for (const auto& it : writings) {
    seconds += it.span.to - it.span.from;
    least = std::max(least, it.ready + seconds / writers);
  }
  return least;
}

int64_t most_in_parallel(const RunState& state) {
  int64_t most = state.run.in_parallel;
  for (const auto& limit : state.limits)
    if (limit.limit == "inparallel") most = std::max({most, limit.before, limit.after});
  return most;
}

void add_interfaces(const RunState& state, std::vector<Bound>& bounds) {
  // KiB that the schedule counted for the dumps of each, and what it gave them a second.
  std::map<std::string, std::pair<double, double>> interfaces;
  for (const auto& dump : state.dumps) {
    if (!dump.dumped || dump.interface_kps <= 0) continue;
    auto most = static_cast<double>(dump.interface_kps);
    for (const auto& limit : state.limits)
      if (limit.limit == "netusage" && limit.interface == dump.interface)
        most = std::max({most, static_cast<double>(limit.before), static_cast<double>(limit.after)});
    const double kps = dump.est_kps > 0 ? static_cast<double>(dump.est_kps) : kUnknownKps;
    auto& [kib, use] = interfaces[dump.interface];
    kib += std::min(kps, most) * dump.dump_seconds;
    use = most;
  }
  for (const auto& [name, it] : interfaces)
    bounds.push_back({"interface", name, state.plan_seconds + it.first / it.second});
}

void add_hosts(const RunState& state, std::vector<Bound>& bounds) {
  // Seconds of the dumps of each, and so many at a time at most.
  std::map<std::string, std::pair<double, int64_t>> hosts;
  for (const auto& dump : state.dumps) {
    if (!dump.dumped || dump.max_dumps <= 0) continue;
    auto& [seconds, most] = hosts[dump.image.host];
    seconds += dump.dump_seconds;
    most = std::max(most, dump.max_dumps);
    for (const auto& limit : state.limits)
      if (limit.limit == "maxdumps" && limit.host == dump.image.host)
        most = std::max({most, limit.before, limit.after});
  }
  for (const auto& [host, it] : hosts)
    bounds.push_back({"maxdumps", host, state.plan_seconds + it.first / static_cast<double>(it.second)});
}

// While its worker wrote; so many at once as there were dumps to it.
void add_holding(const RunState& state, std::vector<Bound>& bounds) {
  std::vector<Span> dumps;
  double busy = 0;
  for (const auto& dump : state.dumps) {
    if (!dump.dumped || goes_to_volume(dump) || dump.attempts.empty()) continue;
    const auto& last = dump.attempts.back();
    dumps.push_back({static_cast<double>(last.started_us) / 1e6, static_cast<double>(last.ended_us) / 1e6});
    for (const auto& joint : dump.joints)
      if (joint.name == "holding write") busy += static_cast<double>(joint.busy_ms) / 1e3;
  }
  if (busy > 0) bounds.push_back({"holding disk", {}, state.plan_seconds + busy / most_at_once(dumps)});
}

std::string name_of(const Bound& bound) {
  if (bound.joint == "disk") return bound.of + " alone";
  if (bound.joint == "maxdumps") return "maxdumps of " + printable(bound.of);
  return bound.of.empty() ? bound.joint : fmt::format("{} {}", bound.joint, printable(bound.of));
}

}  // namespace

double LowerBound::efficiency() const {
  if (bounds.empty() || run_seconds <= 0) return 1;
  return std::min(bounds.front().seconds / run_seconds, 1.0);
}

LowerBound lower_bound_of(const RunState& state) {
  LowerBound out;
  out.run_seconds = state.finished ? state.finished->seconds : state.elapsed_seconds();
  double dumping = 0;
  Bound slowest{"disk", {}, 0};
  for (const auto& dump : state.dumps) {
    double alone = write_seconds(dump);
    if (dump.dumped) {
      dumping += dump.dump_seconds;
      alone += state.plan_seconds + dump.dump_seconds;
    }
    if (alone > slowest.seconds) slowest = {"disk", dle_name(dump.image), alone};
  }
  if (slowest.seconds > 0) out.bounds.push_back(slowest);
  if (const auto most = most_in_parallel(state); dumping > 0 && most > 0)
    out.bounds.push_back(
        {"inparallel", fmt::format("{}", most), state.plan_seconds + dumping / static_cast<double>(most)});
  add_hosts(state, out.bounds);
  add_interfaces(state, out.bounds);
  add_holding(state, out.bounds);
  // Images of earlier runs may be written while the plan is made.
  const auto by_storage = writings_of(state);
  for (const auto& [storage, writings] : by_storage)
    out.bounds.push_back({"volume writer", by_storage.size() > 1 ? storage : "", least_to_write(writings)});
  std::ranges::stable_sort(out.bounds, std::greater(), &Bound::seconds);
  return out;
}

std::string lower_bound_line(const RunState& state) {
  const auto bound = lower_bound_of(state);
  if (bound.bounds.empty()) return {};
  return fmt::format(
      "The run took {}; no order of the same work takes less than {} ({}): {:.0f}% of the best possible.\n",
      duration(bound.run_seconds), duration(bound.bounds.front().seconds), name_of(bound.bounds.front()),
      bound.efficiency() * 100);
}

}  // namespace headrace::observe
