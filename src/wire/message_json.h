// The flat JSON objects of Amanda's messages: every value a string, keys in the order they stand. Kept by
// hand because names may hold bytes that are no UTF-8, order must survive, and the peer's text is only nearly
// JSON. Internal to wire/.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace headrace::wire {

using JsonObject = std::vector<std::pair<std::string, std::string>>;

// As Amanda indents it, without a newline at the end.
std::string encode_json_object(const JsonObject& object);
// `text` begins with '{'; takes the object off its front. Numbers, true, false and null come as their text.
// Errors (corrupt): unfinished text, a value that is itself an object or list.
base::Result<JsonObject> take_json_object(std::string_view& text);

}  // namespace headrace::wire
