// What a run answered on its control socket, for people and as JSON. Pure.
#pragma once

#include <string>

#include "server/observe/control_codec.h"

namespace headrace::observe {

// What a pause (or resume) did, a line a disk.
std::string pause_text(const ControlReply& reply, bool pauses);
// All limits in force, with what was configured where that is another. Without a timestamp: of no run.
std::string limits_text(const ControlReply& reply);
// The limits that were changed: "maxdumps of fs: 2, was 1".
std::string changed_text(const ControlReply& reply);
// One object, indented, with a newline; members as headrace-pause(8) and headrace-limit(8) list them.
std::string control_json(const ControlReply& reply);

}  // namespace headrace::observe
