#include "wire/message_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "base/json_text.h"
#include "wire/text.h"

namespace headrace::wire {

using base::Result;

static std::string encode_string(std::string_view text) {
  std::string out;
  base::append_json_string(out, text);
  return out;
}

std::string encode_json_object(const JsonObject& object) {
  std::string out = "  {\n";
  for (const auto& member : object) {
    out += fmt::format("    {} : {}{}\n", encode_string(member.first), encode_string(member.second),
                       &member == &object.back() ? "" : ",");
  }
  return out + "  }";
}

namespace {

std::unexpected<base::Error> bad(std::string_view why, std::string_view at) {
  return base::fail(base::ErrorKind::corrupt,
                    fmt::format("unreadable message ({}) at \"{}\"", why, printable(at)));
}

void add_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | code >> 6U);
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0U | code >> 12U);
    out += static_cast<char>(0x80U | (code >> 6U & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | code >> 18U);
    out += static_cast<char>(0x80U | (code >> 12U & 0x3FU));
    out += static_cast<char>(0x80U | (code >> 6U & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
}

// Four hex digits off the front.
std::optional<uint32_t> take_hex4(std::string_view& text) {
  const std::string_view digits = text.substr(0, 4);
  uint32_t code = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (digits.size() < 4 || fault != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  text.remove_prefix(digits.size());
  return code;
}

// What follows "\u"; a surrogate without its partner becomes U+FFFD.
bool take_unicode(std::string_view& text, std::string& out) {
  auto code = take_hex4(text);
  if (!code) return false;
  if (*code >= 0xD800 && *code < 0xDC00 && text.starts_with("\\u")) {
    std::string_view after = text.substr(2);
    const auto low = take_hex4(after);
    if (low && *low >= 0xDC00 && *low < 0xE000) {
      text = after;
      code = 0x10000 + ((*code - 0xD800) << 10U) + (*low - 0xDC00);
    }
  }
  add_utf8(out, *code >= 0xD800 && *code < 0xE000 ? 0xFFFD : *code);
  return true;
}

// `text` begins behind the opening quote.
Result<std::string> take_string(std::string_view& text) {
  const std::string_view begin = text;
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return out;
    if (c != '\\') {
      out += c;
      continue;
    }
    if (text.empty()) break;
    const char escape = text.front();
    text.remove_prefix(1);
    switch (escape) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u':
        if (!take_unicode(text, out)) return bad("bad \\u escape", begin);
        break;
      default:
        out += escape;
    }
  }
  return bad("unfinished string", begin);
}

void skip(std::string_view& text, std::string_view characters) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(characters)));
}

Result<std::string> take_value(std::string_view& text) {
  if (text.empty()) return bad("unfinished object", text);
  if (take_prefix(text, "\"")) return take_string(text);
  if (text.front() == '{' || text.front() == '[') return bad("a value within a value", text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t\r\n,:{}[]\""));
  if (word.empty()) return bad("no value", text);
  text.remove_prefix(word.size());
  return std::string(word);
}

}  // namespace

Result<JsonObject> take_json_object(std::string_view& text) {
  constexpr std::string_view kBetween = " \t\r\n,:";
  JsonObject out;
  if (!take_prefix(text, "{")) return bad("no object", text);
  while (true) {
    skip(text, kBetween);
    if (text.empty()) return bad("unfinished object", text);
    if (take_prefix(text, "}")) return out;
    auto key = take_value(text);
    if (!key) return std::unexpected(key.error());
    skip(text, kBetween);
    auto value = take_value(text);
    if (!value) return std::unexpected(value.error());
    out.emplace_back(*std::move(key), *std::move(value));
  }
}

}  // namespace headrace::wire
