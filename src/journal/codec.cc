#include "journal/codec.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <utility>

#include "base/json_text.h"
#include "journal/fields.h"
#include "journal/json_values.h"

namespace headrace::journal {
namespace {

// JSON as text, without a tree of values in between: a run writes many events, and samples are most of them.

void put(std::string& out, const std::string& text);
void put(std::string& out, bool value) { out += value ? "true" : "false"; }
void put(std::string& out, double value) { out += json(std::isfinite(value) ? value : 0.0).dump(); }
void put(std::string& out, const base::CrcAndSize& crc) { put(out, crc.text()); }
template <class T>
  requires std::is_integral_v<T>
void put(std::string& out, T value) {
  fmt::format_to(std::back_inserter(out), "{}", value);
}
template <class T>
  requires std::is_enum_v<T>
void put(std::string& out, T value) {
  put(out, std::string(words_of(value)[static_cast<size_t>(value)]));
}
template <class T>
  requires std::is_class_v<T>
void put(std::string& out, const T& value);
template <class T>
void put(std::string& out, const std::vector<T>& list) {
  out += '[';
  for (const auto& element : list) {
    if (&element != &list.front()) out += ',';
    put(out, element);
  }
  out += ']';
}

void put(std::string& out, const std::string& text) {
  if (is_utf8(text)) return base::append_json_string(out, text);
  out += "{\"hex\":";
  base::append_json_string(out, hex_of(text));
  out += '}';
}

// A part of a sample leaves out what is zero or empty.
template <class T>
constexpr bool kIsSample = std::is_same_v<T, Joint> || std::is_same_v<T, TcpEnd>;
bool worth_telling(const std::string&) { return true; }
bool worth_telling(uint64_t number) { return number != 0; }
bool worth_telling(const std::vector<uint64_t>& list) { return !list.empty(); }

struct MemberWriter {
  std::string& out;
  bool first = true;
  template <class T>
  void operator()(const char* name, const T& value) {
    out += std::exchange(first, false) ? "\"" : ",\"";
    out += name;
    out += "\":";
    put(out, value);
  }
};

struct SampleWriter {
  MemberWriter members;
  template <class T>
  void operator()(const char* name, const T& value) {
    if (worth_telling(value)) members(name, value);
  }
};

template <class T>
  requires std::is_class_v<T>
void put(std::string& out, const T& value) {
  out += '{';
  if constexpr (kIsSample<T>) {
    SampleWriter writer{{out}};
    fields(writer, value);
  } else {
    MemberWriter writer{out};
    fields(writer, value);
  }
  out += '}';
}

using base::ErrorKind;

constexpr size_t kUsualLineBytes = 512;

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
  std::string out;
  out.reserve(kUsualLineBytes);
  out += '{';
  MemberWriter writer{out};
  writer("t", event.wall_us);
  writer("type", std::string(type_of(event.body)));
  std::visit(
      [&writer](const auto& body) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(body)>, Unknown>) fields(writer, body);
      },
      event.body);
  out += '}';
  return out;
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
