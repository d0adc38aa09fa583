// Events as text and back: one JSON object a line. Pure. Grammar and example: doc/journal-format.md.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "journal/event.h"

namespace headrace::journal {

// No line is longer; a writer refuses to make one and a reader to take one.
inline constexpr size_t kMaxLineBytes = 4U << 20U;

// The event's type as written in its line: "dump-finished". Of an Unknown, the type that was read.
std::string_view type_of(const Body& body);

// One line without the newline. Strings that are no UTF-8 survive (see the format's document).
std::string encode(const Event& event);

// A line without its newline. A type this program does not know gives an Unknown; a member that is missing
// keeps its default (an older writer), one that is unknown is ignored (a newer one). Corrupt when it is no
// JSON object, or has no time or type, or a member has the wrong type.
base::Result<Event> parse(std::string_view line);

}  // namespace headrace::journal
