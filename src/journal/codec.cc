#include "journal/codec.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "journal/fields.h"

namespace headrace::journal {
namespace {

using nlohmann::json;
using Ordered = nlohmann::ordered_json;
using base::ErrorKind;

// --- text
// ---------------------------------------------------------------------------------------------------

// Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
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

std::string hex_of(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool bytes_of(std::string_view hex, std::string& out) {
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

Ordered to_json(const std::string& text) {
  if (is_utf8(text)) return text;
  Ordered bytes = Ordered::object();
  bytes["hex"] = hex_of(text);
  return bytes;
}
Ordered to_json(bool value) { return value; }
Ordered to_json(double value) { return std::isfinite(value) ? value : 0.0; }
Ordered to_json(const base::CrcAndSize& crc) { return crc.text(); }
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
Ordered to_json(const std::vector<std::string>& list) {
  Ordered out = Ordered::array();
  for (const auto& text : list) out.push_back(to_json(text));
  return out;
}
Ordered to_json(const std::vector<uint64_t>& list) {
  Ordered out = Ordered::array();
  for (const uint64_t number : list) out.push_back(number);
  return out;
}
template <class T>
concept Parts = std::is_same_v<T, Joint> || std::is_same_v<T, TcpEnd>;
template <Parts T>
Ordered to_json(const std::vector<T>& list);

// A part of a sample leaves out what is zero or empty: a run takes many samples.
bool worth_telling(const std::string&) { return true; }
bool worth_telling(uint64_t number) { return number != 0; }
bool worth_telling(const std::vector<uint64_t>& list) { return !list.empty(); }

struct PartEncoder {
  Ordered& object;
  template <class T>
  void operator()(const char* name, const T& value) {
    if (worth_telling(value)) object[name] = to_json(value);
  }
};

struct Encoder {
  Ordered& object;
  template <class T>
  void operator()(const char* name, const T& value) {
    object[name] = to_json(value);
  }
};

template <Parts T>
Ordered to_json(const std::vector<T>& list) {
  Ordered out = Ordered::array();
  for (const auto& part : list) {
    Ordered object = Ordered::object();
    PartEncoder encoder{object};
    fields(encoder, part);
    out.push_back(std::move(object));
  }
  return out;
}

// --- JSON to values
// -----------------------------------------------------------------------------------------

bool from_json(const json& value, std::string& out) {
  if (value.is_string()) {
    out = value.get_ref<const std::string&>();
    return true;
  }
  if (!value.is_object() || value.size() != 1) return false;
  const auto hex = value.find("hex");
  return hex != value.end() && hex->is_string() && bytes_of(hex->get_ref<const std::string&>(), out);
}
bool from_json(const json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}
bool from_json(const json& value, double& out) {
  if (!value.is_number()) return false;
  out = value.get<double>();
  return std::isfinite(out);
}
bool from_json(const json& value, base::CrcAndSize& out) {
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

template <Parts T>
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

// --- types
// --------------------------------------------------------------------------------------------------

template <size_t... kIndex>
constexpr auto names_of_types(std::index_sequence<kIndex...>) {
  return std::array{name_of_type<std::variant_alternative_t<kIndex, Body>>()...};
}
// By index in Body.
constexpr auto kTypes = names_of_types(std::make_index_sequence<std::variant_size_v<Body>>());

// Makes the alternative named `type` and fills it. False: no such type.
template <size_t kIndex = 0>
bool decode_body(std::string_view type, Decoder& decoder, Body& body) {
  if constexpr (kIndex < std::variant_size_v<Body>) {
    using T = std::variant_alternative_t<kIndex, Body>;
    if constexpr (!std::is_same_v<T, Unknown>) {
      if (type == kTypes[kIndex]) {
        fields(decoder, body.emplace<T>());
        return true;
      }
    }
    return decode_body<kIndex + 1>(type, decoder, body);
  }
  return false;
}

std::unexpected<base::Error> corrupt(std::string what) {
  return base::fail(ErrorKind::corrupt, std::move(what));
}

}  // namespace

std::string_view type_of(const Body& body) {
  if (const auto* unknown = std::get_if<Unknown>(&body)) return unknown->type;
  return kTypes[body.index()];
}

std::string encode(const Event& event) {
  if (const auto* unknown = std::get_if<Unknown>(&event.body)) return unknown->json;
  Ordered object = Ordered::object();
  object["t"] = event.wall_us;
  object["type"] = std::string(type_of(event.body));
  Encoder encoder{object};
  std::visit(
      [&encoder](const auto& body) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(body)>, Unknown>) fields(encoder, body);
      },
      event.body);
  return object.dump();
}

base::Result<Event> parse(std::string_view line) {
  if (line.size() > kMaxLineBytes)
    return corrupt(
        fmt::format("an event of {} bytes is longer than the limit of {}", line.size(), kMaxLineBytes));
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return corrupt("this line is no JSON object");
  const auto time = object.find("t");
  Event event;
  if (time == object.end() || !from_json(*time, event.wall_us))
    return corrupt("this event has no time: a whole number \"t\" is expected");
  const auto type = object.find("type");
  if (type == object.end() || !type->is_string())
    return corrupt("this event has no type: a string \"type\" is expected");
  const auto& name = type->get_ref<const std::string&>();
  Decoder decoder{object};
  if (!decode_body(name, decoder, event.body)) event.body = Unknown{name, std::string(line)};
  if (!decoder.wrong.empty())
    return corrupt(fmt::format("the member \"{}\" of this {} event is not as expected", decoder.wrong, name));
  return event;
}

}  // namespace headrace::journal
