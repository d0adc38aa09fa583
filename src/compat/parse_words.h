// Small parsers shared by the files of this room: words out of a line, numbers that must be whole. Pure.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"

namespace headrace::compat {

// All of `text` as a number; nothing when it is anything else. Takes a leading '-', no '+', no blanks.
template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || at != end || text.empty()) return std::nullopt;
  return value;
}

// Takes the next word (runs of blanks and tabs apart) off the front of `rest`; empty when nothing is left.
inline std::string_view take_plain_word(std::string_view& rest) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  size_t begin = 0;
  while (begin < rest.size() && blank(rest[begin])) ++begin;
  size_t end = begin;
  while (end < rest.size() && !blank(rest[end])) ++end;
  const std::string_view word = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return word;
}

// Takes a line off the front, without its newline.
inline std::string_view take_line(std::string_view& rest) {
  const size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return line;
}

inline bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "FILE:LINE: what"
inline std::unexpected<base::Error> bad_line(std::string_view file, int line, std::string_view what) {
  std::string text(file);
  text += ':';
  text += std::to_string(line);
  text += ": ";
  text += what;
  return base::fail(base::ErrorKind::corrupt, std::move(text));
}

}  // namespace headrace::compat
