// Values to JSON and back, by the lists of names that fields() overloads are: what the journal's codec and
// the control socket's have in common. Pure; heavy, for codecs only. Texts that are no UTF-8 survive as
// {"hex": "6162…"}.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/crc32c.h"

namespace headrace::journal {

using nlohmann::json;
using Ordered = nlohmann::ordered_json;

// --- text
// ---------------------------------------------------------------------------------------------------

// Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
inline bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || i + more >= text.size()) return false;
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
      return false;
    for (size_t j = 1; j <= more; ++j)
      if ((static_cast<unsigned char>(text[i + j]) & 0xC0U) != 0x80U) return false;
    i += more + 1;
  }
  return true;
}

inline std::string hex_of(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

inline bool bytes_of(std::string_view hex, std::string& out) {
  if (hex.size() % 2 != 0) return false;
  out.clear();
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_digit(hex[i]);
    const int low = hex_digit(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
  }
  return true;
}

// --- values to JSON
// -----------------------------------------------------------------------------------------

inline Ordered to_json(const std::string& text) {
  if (is_utf8(text)) return text;
  Ordered bytes = Ordered::object();
  bytes["hex"] = hex_of(text);
  return bytes;
}
inline Ordered to_json(bool value) { return value; }
inline Ordered to_json(double value) { return std::isfinite(value) ? value : 0.0; }
inline Ordered to_json(const base::CrcAndSize& crc) { return crc.text(); }
template <class T>
  requires std::is_integral_v<T>
Ordered to_json(T value) {
  return value;
}
template <class T>
  requires std::is_enum_v<T>
Ordered to_json(T value) {
  return std::string(words_of(value)[static_cast<size_t>(value)]);
}
// Declared before their use, so that values of other rooms find them.
template <class T>
  requires std::is_class_v<T>
Ordered to_json(const T& value);
template <class T>
Ordered to_json(const std::vector<T>& list);

struct Encoder {
  Ordered& object;
  template <class T>
  void operator()(const char* name, const T& value) {
    object[name] = to_json(value);
  }
};

template <class T>
  requires std::is_class_v<T>
Ordered to_json(const T& value) {
  Ordered object = Ordered::object();
  Encoder encoder{object};
  fields(encoder, value);
  return object;
}
template <class T>
Ordered to_json(const std::vector<T>& list) {
  Ordered out = Ordered::array();
  for (const auto& element : list) out.push_back(to_json(element));
  return out;
}

// --- JSON to values
// -----------------------------------------------------------------------------------------

inline bool from_json(const json& value, std::string& out) {
  if (value.is_string()) {
    out = value.get_ref<const std::string&>();
    return true;
  }
  if (!value.is_object() || value.size() != 1) return false;
  const auto hex = value.find("hex");
  return hex != value.end() && hex->is_string() && bytes_of(hex->get_ref<const std::string&>(), out);
}
inline bool from_json(const json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}
inline bool from_json(const json& value, double& out) {
  if (!value.is_number()) return false;
  out = value.get<double>();
  return std::isfinite(out);
}
inline bool from_json(const json& value, base::CrcAndSize& out) {
  if (!value.is_string()) return false;
  out = base::CrcAndSize::parse(value.get_ref<const std::string&>());
  return true;
}
template <class T>
  requires std::is_integral_v<T>
bool from_json(const json& value, T& out) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (!std::in_range<T>(number)) return false;
    out = static_cast<T>(number);
    return true;
  }
  if (!value.is_number_integer()) return false;
  const auto number = value.get<int64_t>();
  if (!std::in_range<T>(number)) return false;
  out = static_cast<T>(number);
  return true;
}
template <class T>
  requires std::is_enum_v<T>
bool from_json(const json& value, T& out) {
  if (!value.is_string()) return false;
  const auto& words = words_of(out);
  for (size_t i = 0; i < words.size(); ++i) {
    if (value.get_ref<const std::string&>() != words[i]) continue;
    out = static_cast<T>(i);
    return true;
  }
  return false;
}
template <class T>
  requires std::is_class_v<T>
bool from_json(const json& value, T& out);
template <class T>
bool from_json(const json& value, std::vector<T>& out);

struct Decoder {
  const json& object;
  std::string wrong = {};  // the first member of a wrong type
  template <class T>
  void operator()(const char* name, T& out) {
    const auto found = object.find(name);
    if (found != object.end() && !from_json(*found, out) && wrong.empty()) wrong = name;
  }
};

template <class T>
  requires std::is_class_v<T>
bool from_json(const json& value, T& out) {
  if (!value.is_object()) return false;
  Decoder decoder{value};
  fields(decoder, out);
  return decoder.wrong.empty();
}
template <class T>
bool from_json(const json& value, std::vector<T>& out) {
  if (!value.is_array()) return false;
  out.clear();
  for (const auto& element : value) {
    T item{};
    if (!from_json(element, item)) return false;
    out.push_back(std::move(item));
  }
  return true;
}

}  // namespace headrace::journal
