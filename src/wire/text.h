// Small text helpers of this room's parsers: whole numbers, prefixes, lines, quoting a peer's bytes in
// messages. Internal to wire/.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::wire {

// The whole text as a decimal number; nullopt when it is anything else or out of range.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Drops the prefix if the text has it.
inline bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes a line off the front, without its newline.
inline std::string_view take_line(std::string_view& rest) {
  const size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

// What a peer sent, fit for a message: printable ASCII as it is, other bytes as \xNN, cut at the limit.
std::string printable(std::string_view text, size_t limit_bytes = 100);

// Newlines and NULs become blanks, so that the text stays one line.
std::string one_line(std::string_view text);

}  // namespace headrace::wire
