// How large a dump of a level will be, and how fast it comes: what the client said, or what history tells.
// Pure; a part of the plan (plan.h). Source of the rules: observed with Amanda 3.5.1.
#pragma once

#include "server/plan/plan.h"

namespace headrace::plan {

struct Size {
  uint64_t native_kib = 0;
  EstimateSource source = EstimateSource::guess;
};

// Without asking the client: from the sizes of such dumps in the past, or a guess.
Size size_from_history(const PlanDle& dle, const Decision& decision, int level, int64_t volume_kib);

// Native size into what is stored and how fast, by what was measured for fulls or incrementals.
PlannedLevel planned_level(const PlanDle& dle, int level, Size size, Reason reason);

// Amanda's weighted mean of up to three values, newest first; 0 without any.
double weighted_mean(std::span<const double> newest_first);

}  // namespace headrace::plan
