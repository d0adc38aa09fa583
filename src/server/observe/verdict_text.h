// What stands in a dump's way, in words: now, for those who watch, and over time, for the report. Pure.
#pragma once

#include <string>

#include "journal/state.h"

namespace headrace::observe {

// "holding disk (92 % sure)".
std::string verdict_words(const journal::VerdictSpan& span);
// The same with its rate, or two when that changed under way: "holding disk (92 % sure), 80.0 MiB/s → 12.0
// MiB/s".
std::string verdict_rated(const journal::VerdictSpan& span);
// And with the numbers it rests on: "…: the holding disk would not take more 95 % of the time".
std::string verdict_sentence(const journal::VerdictSpan& span);

// A heading and lines for the run and each dump that moves; empty when there is no verdict.
std::string in_the_way(const journal::RunState& state);
// For the run and each dump: the share of each verdict, and the long stretches with what they rest on.
std::string where_the_time_went(const journal::RunState& state);

}  // namespace headrace::observe
