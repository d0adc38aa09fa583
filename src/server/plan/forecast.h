// The nights to come, foreseen by making plan after plan: each night every dump goes as planned, and the next
// evening the clients give the sizes they gave tonight. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "server/plan/plan.h"

namespace headrace::plan {

struct ForeseenNight {
  std::string timestamp;
  Plan plan;
};

// Tonight, as make_plan() says, and the nights after it: `nights` in all, a day apart.
std::vector<ForeseenNight> foresee(PlanInputs inputs, std::span<const Answer> answers, size_t nights);

// The same time of the day after; the same again when `timestamp` does not begin with a date.
std::string next_day(const std::string& timestamp);

}  // namespace headrace::plan
