// Which levels a disk may be dumped at tonight, and which of them its sizes speak for. Pure; a part of the
// plan (plan.h), used by it alone and by tests. Source of the rules: observed with Amanda 3.5.1.
#pragma once

#include <chrono>
#include <map>

#include "server/plan/plan.h"

namespace headrace::plan {

inline constexpr int kMaxLevel = 399;

// The date a timestamp begins with.
std::optional<std::chrono::sys_days> day_of(const std::string& timestamp);
// Days from one moment to another, by the nearest whole number; 0 when either is no timestamp (8 or 14
// digits, local time). So Amanda counts: of a full made at 23:00, the run at 10:00 is no day later, that at
// 12:00 one.
int64_t days_between(const std::string& from_timestamp, const std::string& to_timestamp);
// Days until a full is due: negative when overdue; of a disk without a full, as Amanda counts, since 1970.
int64_t days_until_full(const PlanDle& dle, const std::string& timestamp);

// The last full is dated more than a day after tonight: a clock was wrong then, or is now. Nobody knows its
// age, so another is due.
bool full_from_the_future(const PlanDle& dle, const std::string& timestamp);

const DumpRecord* record_of(const PlanDle& dle, int level);

// What the level above `level` must save for it to be taken, KiB. `full_kib`: size of a full, 0 if unknown.
int64_t bump_threshold(const PlanDle& dle, int level, uint64_t full_kib);

// `cycle_days`: the configuration's dumpcycle, by which a forced full counts as overdue, whatever the disk's
// is.
Decision decide_one(const PlanDle& dle, const std::string& timestamp, int64_t cycle_days);

struct LevelChoice {
  int level = 0;
  Reason reason = {};
};
// The incremental to make, given the native sizes that are known. Empty: no level has a size.
std::optional<LevelChoice> choose_incremental(const PlanDle& dle, const Decision& decision,
                                              const std::map<int, uint64_t>& native_kib);

}  // namespace headrace::plan
