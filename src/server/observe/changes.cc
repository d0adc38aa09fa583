#include "server/observe/changes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "server/observe/text.h"

namespace headrace::observe {

std::string limit_value(std::string_view limit, int64_t value) {
  if (limit == "inparallel" || limit == "maxdumps") return std::to_string(value);
  if (value <= 0) return "none";
  const auto bytes = static_cast<uint64_t>(value) * (limit == "netusage" ? base::kKiB : 1);
  return base::human_bytes(bytes) + "/s";
}

std::string limit_name(const journal::LimitChanged& change) {
  if (!change.interface.empty())
    return fmt::format("{} of interface {}", printable(change.limit), printable(change.interface));
  if (change.host.empty()) return printable(change.limit);
  return fmt::format(
      "{} of {}", printable(change.limit),
      change.disk.empty() ? printable(change.host) : dle_name({change.host, change.disk, {}, 0}));
}

std::string limit_sentence(const journal::LimitChanged& change) {
  return fmt::format("{}: {}, was {}", limit_name(change), limit_value(change.limit, change.after),
                     limit_value(change.limit, change.before));
}

std::string turn_sentence(const journal::DumpState& dump) {
  if (!dump.turn || dump.samples.size() < 2) return {};
  const double since = dump.recent_bytes_per_second();
  const auto per_second = [](double rate) {
    return base::human_bytes(static_cast<uint64_t>(rate < 0 ? 0 : rate)) + "/s";
  };
  return fmt::format("{} since {}, {} before", per_second(since), clock_time(dump.turn->at_us),
                     per_second(dump.turn->bytes_per_second_before));
}

std::string changes_text(const journal::RunState& state) {
  std::string out;
  for (const auto& pause : state.pauses)
    out +=
        fmt::format("  {} since {}{}\n", dle_name({pause.host, pause.disk, {}, 0}),
                    clock_time(pause.since_us), pause.by == "operator" ? "" : ", by " + printable(pause.by));
  if (!out.empty()) out.insert(0, "PAUSED (\"headrace resume\" lets them go on)\n");
  std::string limits;
  for (const auto& limit : state.limits)
    if (limit.before != limit.after) limits += "  " + limit_sentence(limit) + "\n";
  if (!limits.empty()) out += (out.empty() ? "" : "\n") + ("LIMITS changed in this run\n" + limits);
  return out;
}

std::string changes_line(const journal::RunState& state) {
  const auto paused = std::ranges::count_if(state.dumps, [](const auto& dump) { return dump.paused; });
  std::string out = paused > 0 ? fmt::format("{} PAUSED", paused) : "";
  for (const auto& limit : state.limits)
    if (limit.before != limit.after) out += (out.empty() ? "" : "; ") + limit_sentence(limit);
  return out;
}

}  // namespace headrace::observe
