// How a run stands, line by line for each dump, with sums: of a run that goes on, is over, or died. The
// counterpart of Amanda's amstatus. Pure; the same facts as text and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "journal/state.h"
#include "server/observe/figures.h"

namespace headrace::observe {

struct StatusOptions {
  Life life = Life::running;
  int64_t now_us = 0;  // microseconds since 1970; rates and idle times are of this moment
  std::vector<std::string> other_runs = {};  // that go on beside it, for programs
};

// Lines with newlines. What moves stands first, then what waits, then what is over.
std::string status_text(const journal::RunState& state, const StatusOptions& options);

// One object, indented, with a newline: members as headrace-status(8) lists them.
std::string status_json(const journal::RunState& state, const StatusOptions& options);

}  // namespace headrace::observe
