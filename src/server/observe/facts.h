// The facts of a run as JSON, shared by status and report so that both mean the same by a name. Pure; private
// to this room (its header is heavy).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "journal/state.h"
#include "server/observe/figures.h"

namespace headrace::observe {

using Json = nlohmann::ordered_json;

// config, timestamp, state, dumps, volumes, notes…
Json facts_of(const journal::RunState& state, Life life, int64_t now_us);
// Indented text with a newline; bytes that are no UTF-8 become U+FFFD.
std::string text_of(const Json& json);

}  // namespace headrace::observe
