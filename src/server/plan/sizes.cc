#include "server/plan/sizes.h"

#include <algorithm>
#include <cmath>

#include "server/plan/levels.h"

namespace headrace::plan {
namespace {

// When nobody knows better: Amanda's figures.
constexpr uint64_t kGuessFullKib = 1'000'000;
constexpr uint64_t kGuessSameLevelKib = 10'000;
constexpr uint64_t kGuessOtherLevelKib = 100'000;
constexpr uint64_t kGuessKps = 1024;
constexpr double kMaxRatio = 1.1;
// So many dumps back history is looked at.
constexpr size_t kHistoryWindow = 30;

// A dump of history with its place in a stay at one level. Which level does not matter to Amanda: what the
// third incremental in a row is like says most about the next third in a row.
struct DatedSize {
  int day = 0;           // of the stay, from 0
  bool went_up = false;  // its first, one level above the dump before
  uint64_t native_kib = 0;
};
std::vector<DatedSize> dated_incrementals(const PlanDle& dle) {
  const size_t count = std::min(dle.history.size(), kHistoryWindow);
  std::vector<DatedSize> out;
  std::optional<int> level;
  int day = 0;
  for (size_t i = count; i-- > 0;) {
    const auto& dump = dle.history[i];
    day = level == dump.level ? day + 1 : 0;
    const bool up = level && *level + 1 == dump.level;
    level = dump.level;
    if (dump.level > 0) out.push_back({day, up, dump.native_kib});
  }
  return out;
}

std::optional<uint64_t> mean_of(const std::vector<DatedSize>& sizes, auto&& wanted) {
  uint64_t sum = 0;
  uint64_t count = 0;
  for (const auto& size : sizes) {
    if (!wanted(size)) continue;
    sum += size.native_kib;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

// On the same day of earlier stays, or on the latest day before it that there was, but for the first: that
// one is what follows a full or a change of level, and like no other.
std::optional<uint64_t> mean_at_day(const PlanDle& dle, int day) {
  const auto sizes = dated_incrementals(dle);
  for (; day > 0; --day) {
    const auto mean = mean_of(sizes, [day](const DatedSize& size) { return size.day == day; });
    if (mean) return mean;
  }
  return std::nullopt;
}
std::optional<uint64_t> mean_after_going_up(const PlanDle& dle) {
  return mean_of(dated_incrementals(dle), [](const DatedSize& size) { return size.went_up; });
}
std::optional<uint64_t> latest_full(const PlanDle& dle) {
  const auto found = std::ranges::find(dle.history, 0, &PastDump::level);
  if (found == dle.history.end()) return std::nullopt;
  return found->native_kib;
}

Size guess(const PlanDle& dle, int level, int64_t volume_kib, uint64_t most) {
  if (volume_kib > 1) most = std::min(most, static_cast<uint64_t>(volume_kib) / 2);
  const auto* full = record_of(dle, 0);
  const bool has_full = full != nullptr && full->native_kib > 1 && dle.strategy != config::Strategy::nofull;
  if (level > 0 && has_full) most = std::min(most, full->native_kib / 2);
  return {most, EstimateSource::guess};
}

double ratio_of(const PlanDle& dle, int level) {
  if (!dle.compresses) return 1;
  const double mean = weighted_mean(level == 0 ? dle.full_ratios : dle.incr_ratios);
  const double ratio = mean > 0 ? mean : (level == 0 ? dle.comprate_full : dle.comprate_incr);
  return std::isfinite(ratio) && ratio > 0 ? std::min(ratio, kMaxRatio) : 1;
}

}  // namespace

Size size_from_history(const PlanDle& dle, const Decision& decision, int level, int64_t volume_kib) {
  const auto* record = record_of(dle, level);
  std::optional<uint64_t> known;
  uint64_t most = kGuessOtherLevelKib;
  if (level == 0) {
    known = latest_full(dle);
    most = kGuessFullKib;
  } else if (level == decision.last_level) {
    known = mean_at_day(dle, decision.last_runs + 1);
    most = kGuessSameLevelKib;
  } else if (level == decision.last_level + 1) {
    known = mean_after_going_up(dle);
  }
  if (!known && record != nullptr && record->native_kib > 0) known = record->native_kib;
  if (known) return {*known, EstimateSource::history};
  return guess(dle, level, volume_kib, most);
}

PlannedLevel planned_level(const PlanDle& dle, int level, Size size, Reason reason) {
  const double stored = static_cast<double>(size.native_kib) * ratio_of(dle, level);
  const double rate = weighted_mean(level == 0 ? dle.full_rates : dle.incr_rates);
  const auto* base = level > 0 ? record_of(dle, level - 1) : nullptr;
  return {.level = level,
          .reason = reason,
          .base_timestamp = base != nullptr ? base->timestamp : std::string(),
          .native_kib = size.native_kib,
          .stored_kib = std::max<uint64_t>(static_cast<uint64_t>(stored), 1),
          .kps = rate >= 1 ? static_cast<uint64_t>(rate) : kGuessKps,
          .source = size.source};
}

double weighted_mean(std::span<const double> newest_first) {
  double sum = 0;
  double weights = 0;
  for (size_t i = 0; i < std::min<size_t>(newest_first.size(), 3); ++i) {
    const auto weight = static_cast<double>(3 - i);
    sum += newest_first[i] * weight;
    weights += weight;
  }
  return weights > 0 ? sum / weights : 0;
}

}  // namespace headrace::plan
