// A run's events as lines of Amanda's run log. Pure. What a line needs beyond its event (estimates of a dump
// that is now complete, say) is taken from the state before the event.
#pragma once

#include <vector>

#include "compat/log_line.h"
#include "journal/event.h"
#include "journal/state.h"

namespace headrace::drive {

std::vector<compat::LogLine> log_lines(const journal::Body& body, const journal::RunState& before);

}  // namespace headrace::drive
