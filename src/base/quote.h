// Amanda's string quoting, used in headers, logs, replies and command lines, and its file name mangling.
// Source: behaviour of Amanda 3.5 (the same rule in all of those places). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headrace::base {

// Quotes when the string is empty or has a byte <= 0x20, >= 0x7f or one of : ' \ " ; escapes \t \n \r \f \\ \".
std::string quote(std::string_view text);
// Always quotes, needed or not.
std::string quote_always(std::string_view text);
// Drops unescaped quotes, resolves \n \t \r \f, octal escapes (NUL dropped) and \x. Never fails.
std::string unquote(std::string_view text);

// Splits at runs of blanks outside quotes; words are returned as written (still quoted).
std::vector<std::string_view> split_quoted(std::string_view line);
// Takes the next word off the front of `rest` (leading blanks skipped); empty when nothing is left.
std::string_view take_word(std::string_view& rest);
// Takes a line off the front; ends at the first newline outside double quotes. The newline is dropped.
std::string_view take_quoted_line(std::string_view& rest);

// Each of / : \ becomes _ : how a host or disk becomes part of a file name. Many-to-one.
std::string mangle(std::string_view name);

}  // namespace headrace::base
