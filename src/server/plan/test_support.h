// Disks with and without a past, as several tests of this room need them. Tests only.
#pragma once

#include <string>
#include <utility>

#include "server/plan/plan.h"

namespace headrace::plan {

inline constexpr const char* kTonight = "20261123010000";

// A disk dumped in full `days` before tonight, then at level 1 until yesterday.
inline PlanDle known(int last_level = 1, const std::string& full = "20261120010000") {
  PlanDle dle{.host = "wolke", .disk = "/srv"};
  dle.dumpcycle_days = 7;
  dle.last_level = last_level;
  dle.records[0] = {full, 5000, 4000};
  for (int level = 1; level <= last_level; ++level) dle.records[level] = {"20261122010000", 300, 200};
  return dle;
}
inline PlanDle fresh() { return {.host = "wolke", .disk = "/srv"}; }
template <class F>
PlanDle with(PlanDle dle, F change) {
  change(dle);
  return dle;
}

}  // namespace headrace::plan
