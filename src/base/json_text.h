// A string as JSON has it (RFC 8259, section 7). Pure.
#pragma once

#include <string>
#include <string_view>

namespace headrace::base {

// Adds `text` in quotes, what may not stand there as it is escaped. Bytes from 0x80 on stay as they are:
// whether they are UTF-8 is the caller's to know.
void append_json_string(std::string& out, std::string_view text);

}  // namespace headrace::base
