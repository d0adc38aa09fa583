#include "config/label_template.h"

#include <fmt/core.h>
#include <regex.h>

#include <cstdint>
#include <vector>

namespace headrace::config {
namespace {

constexpr size_t kPatternLimitBytes = 1024;
constexpr int kSlotDigitsLimit = 18;

// A piece of a template: text, or a run of counter characters.
struct Piece {
  std::string text;
  char counter = 0;  // '%' or '!'
  size_t width = 0;
};

// What a code stands for, if it is one; `width` is N of `$Ns`.
std::optional<std::string> code_text(char code, int width, const LabelContext& context) {
  switch (code) {
    case '$':
      return "$";
    case 'c':
      return context.config;
    case 'o':
      return context.org;
    case 'b':
      return context.barcode;
    case 'm':
      return context.meta;
    case 'r':
      return context.storage;
    case 's':
      return context.slot ? fmt::format("{:0{}}", *context.slot, width) : "";
    default:
      return std::nullopt;
  }
}

// Takes a code off the front of `rest`, whose `$` has been taken: digits and a letter. The digits count for
// `s` only.
struct Code {
  char letter = 0;
  int width = 0;
};
std::optional<Code> take_code(std::string_view& rest) {
  Code code;
  size_t digits = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9' && code.width <= kSlotDigitsLimit)
    code.width = code.width * 10 + (rest[digits++] - '0');
  if (digits == rest.size()) return std::nullopt;
  code.letter = rest[digits];
  if (digits > 0 && (code.letter != 's' || code.width > kSlotDigitsLimit)) return std::nullopt;
  if (std::string_view("$cobmrs").find(code.letter) == std::string_view::npos) return std::nullopt;
  rest.remove_prefix(digits + 1);
  return code;
}

std::vector<Piece> split(std::string_view pattern, const LabelContext& context) {
  std::vector<Piece> pieces;
  const auto add_text = [&](std::string_view text) {
    if (pieces.empty() || pieces.back().counter != 0) pieces.emplace_back();
    pieces.back().text += text;
  };
  while (!pattern.empty()) {
    const char c = pattern.front();
    pattern.remove_prefix(1);
    if (c == '%' || c == '!') {
      if (pieces.empty() || pieces.back().counter != c)
        pieces.push_back({.text = {}, .counter = c, .width = 0});
      ++pieces.back().width;
    } else if (c == '\\' && !pattern.empty()) {
      add_text(pattern.substr(0, 1));
      pattern.remove_prefix(1);
    } else if (const auto code = c == '$' ? take_code(pattern) : std::nullopt; code) {
      add_text(code_text(code->letter, code->width, context).value_or(""));
    } else {
      add_text(std::string_view(&c, 1));
    }
  }
  return pieces;
}

// The number's text in a run, or nothing when it needs more places.
std::optional<std::string> counted(const Piece& piece, uint64_t index) {
  if (piece.counter == '%') {
    std::string text = fmt::format("{:0{}}", index + 1, piece.width);
    return text.size() > piece.width ? std::nullopt : std::optional(text);
  }
  std::string text(piece.width, 'A');
  for (size_t i = piece.width; i-- > 0 && index > 0; index /= 26)
    text[i] = static_cast<char>('A' + static_cast<char>(index % 26));
  return index > 0 ? std::nullopt : std::optional(text);
}

std::string expand_regex(std::string_view pattern, const LabelContext& context) {
  std::string out;
  while (!pattern.empty()) {
    const char c = pattern.front();
    pattern.remove_prefix(1);
    if (c == '%') {
      out += "[0-9]";
    } else if (c == '!') {
      out += "[A-Z]";
    } else if (c == '\\' && !pattern.empty()) {
      // Amanda loses the backslash, so `\.` is any character.
      out += pattern.front();
      pattern.remove_prefix(1);
    } else if (const auto code = c == '$' ? take_code(pattern) : std::nullopt; code) {
      if (code->letter == 's') {
        out += code->width == 0 ? "[0-9]*" : fmt::format("[0-9]{{{}}}", code->width);
      } else {
        out += code_text(code->letter, code->width, context).value_or("");
      }
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string label_regex(const Labelstr& labelstr, const Autolabel& autolabel, const LabelContext& context) {
  if (labelstr.match_autolabel) return "^" + expand_regex(autolabel.pattern, context) + "$";
  return expand_regex(labelstr.pattern, context);
}

base::Result<bool> label_matches(const Labelstr& labelstr, const Autolabel& autolabel,
                                 const LabelContext& context, std::string_view label) {
  const std::string text = label_regex(labelstr, autolabel, context);
  if (text.size() > kPatternLimitBytes)
    return base::fail(base::ErrorKind::refused,
                      fmt::format("labelstr is longer than {} bytes", kPatternLimitBytes));
  if (label.size() > kPatternLimitBytes || label.find('\0') != std::string_view::npos) return false;
  regex_t compiled;
  if (const int failure = ::regcomp(&compiled, text.c_str(), REG_EXTENDED | REG_NOSUB); failure != 0) {
    char why[256];
    ::regerror(failure, &compiled, why, sizeof why);
    return base::fail(base::ErrorKind::refused,
                      fmt::format("labelstr '{}' is not a regular expression: {}", text, why));
  }
  const bool found = ::regexec(&compiled, std::string(label).c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

base::Result<std::string> next_label(std::string_view pattern, const LabelContext& context,
                                     const std::set<std::string>& used) {
  if (pattern.empty()) return base::fail(base::ErrorKind::refused, "autolabel is not set");
  if (pattern.size() > kPatternLimitBytes)
    return base::fail(base::ErrorKind::refused,
                      fmt::format("autolabel is longer than {} bytes", kPatternLimitBytes));
  const std::vector<Piece> pieces = split(pattern, context);
  const Piece* counter = nullptr;
  for (const Piece& piece : pieces) {
    if (piece.counter == 0) continue;
    if (counter != nullptr)
      return base::fail(base::ErrorKind::refused,
                        fmt::format("autolabel '{}' has more than one run of '%' or '!'", pattern));
    counter = &piece;
  }
  // One of the first used.size() + 1 numbers is free.
  for (uint64_t index = 0; index <= used.size(); ++index) {
    std::string label;
    std::optional<std::string> number = std::string();
    if (counter != nullptr) number = counted(*counter, index);
    if (!number) break;
    for (const Piece& piece : pieces) label += &piece == counter ? *number : piece.text;
    if (!used.contains(label)) return label;
    if (counter == nullptr) break;
  }
  return base::fail(base::ErrorKind::refused, fmt::format("every label of autolabel '{}' is used", pattern));
}

std::string expand_codes(std::string_view pattern, const LabelContext& context) {
  std::string out;
  while (!pattern.empty()) {
    const char c = pattern.front();
    pattern.remove_prefix(1);
    const std::optional<std::string> text =
        c == '$' && !pattern.empty() &&
                std::string_view("$cor").find(pattern.front()) != std::string_view::npos
            ? code_text(pattern.front(), 0, context)
            : std::nullopt;
    if (text) {
      out += *text;
      pattern.remove_prefix(1);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace headrace::config
