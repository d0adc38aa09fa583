// What an operator changed while a run went on, in words: pauses and limits. Shared by status, progress and
// the commands that change them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "journal/event.h"
#include "journal/state.h"

namespace headrace::observe {

// "5.0 MiB/s", "none": a limit's value as people write it.
std::string limit_value(std::string_view limit, int64_t value);
// "rate of fs:/home", "netusage of interface default", "inparallel".
std::string limit_name(const journal::LimitChanged& change);
// "maxdumps of fs: 2, was 1".
std::string limit_sentence(const journal::LimitChanged& change);

// What a gate that was closed or opened did to a dump that moves: "81.0 MiB/s since 01:02:03, 40.2 MiB/s
// before"; empty without one, or before there is a sample.
std::string turn_sentence(const journal::DumpState& dump);

// Pauses and changed limits in force, a line each with a heading; empty when there is none.
std::string changes_text(const journal::RunState& state);
// The same in one line: "2 paused; inparallel: 3, was 1"; empty when there is none.
std::string changes_line(const journal::RunState& state);

}  // namespace headrace::observe
