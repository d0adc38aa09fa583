#include "journal/codec.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "journal/fields.h"
#include "journal/json_values.h"

namespace headrace::journal {
namespace {

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

template <class T>
Ordered part_to_json(const T& part) {
  Ordered object = Ordered::object();
  PartEncoder encoder{object};
  fields(encoder, part);
  return object;
}

}  // namespace

// Found by the namespace of their arguments, and preferred to the general one.
static Ordered to_json(const Joint& joint) { return part_to_json(joint); }
static Ordered to_json(const TcpEnd& end) { return part_to_json(end); }

namespace {

using base::ErrorKind;

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
