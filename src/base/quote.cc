#include "base/quote.h"

#include <algorithm>

namespace headrace::base {

static bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == ':' || c == '\'' || c == '\\' || c == '"') return true;
  }
  return false;
}

std::string quote_always(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '"':
        out += "\\\"";
        break;
      default:
        out += c;
    }
  }
  return out + '"';
}

std::string quote(std::string_view text) {
  return needs_quotes(text) ? quote_always(text) : std::string(text);
}

std::string unquote(std::string_view text) {
  // Mostly there is nothing to undo but the quotes around it.
  std::string_view inside = text;
  if (inside.size() >= 2 && inside.front() == '"' && inside.back() == '"')
    inside = inside.substr(1, inside.size() - 2);
  if (std::ranges::none_of(inside, [](char c) { return c == '"' || c == '\\'; })) return std::string(inside);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') continue;
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) break;
    const char c = text[i];
    if (c >= '0' && c <= '7') {
      unsigned value = 0;
      size_t digits = 0;
      while (digits < 3 && i < text.size() && text[i] >= '0' && text[i] <= '7') {
        value = value * 8 + static_cast<unsigned>(text[i] - '0');
        ++digits;
        ++i;
      }
      --i;
      if ((value & 0xFFU) != 0) out += static_cast<char>(value & 0xFFU);
      continue;
    }
    switch (c) {
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case 'f':
        out += '\f';
        break;
      default:
        out += c;
    }
  }
  return out;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

std::string_view take_word(std::string_view& rest) {
  size_t begin = 0;
  while (begin < rest.size() && is_blank(rest[begin])) ++begin;
  bool quoted = false;
  size_t end = begin;
  for (; end < rest.size(); ++end) {
    const char c = rest[end];
    if (c == '\\') {
      if (end + 1 < rest.size()) ++end;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && is_blank(c)) {
      break;
    }
  }
  std::string_view word = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return word;
}

std::vector<std::string_view> split_quoted(std::string_view line) {
  std::vector<std::string_view> words;
  for (auto word = take_word(line); !word.empty(); word = take_word(line)) words.push_back(word);
  return words;
}

std::string_view take_quoted_line(std::string_view& rest) {
  bool quoted = false;
  size_t end = 0;
  for (; end < rest.size(); ++end) {
    if (rest[end] == '"') quoted = !quoted;
    if (rest[end] == '\n' && !quoted) break;
  }
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end < rest.size() ? end + 1 : end);
  return line;
}

std::string mangle(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c == '/' || c == ':' || c == '\\') c = '_';
  }
  return out;
}

}  // namespace headrace::base
