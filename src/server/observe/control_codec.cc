#include "server/observe/control_codec.h"

#include <fmt/format.h>

#include <array>

#include "journal/fields.h"
#include "journal/json_values.h"

namespace headrace::observe {

using base::ErrorKind;

// The codec's templates find these by the namespace of their arguments, so they are in no unnamed one.
constexpr std::array<std::string_view, 5> words_of(ControlRequest::Do) {
  return {"show", "pause", "resume", "limit", "only"};
}
constexpr std::array<std::string_view, 4> words_of(ControlDump::Stand) {
  return {"planning", "waiting", "dumping", "over"};
}
constexpr std::array<std::string_view, 4> words_of(ControlDump::Outcome) {
  return {"none", "done", "already", "over"};
}

// `T` or `const T`.
template <class E, class T>
concept Is = std::is_same_v<std::remove_const_t<E>, T>;

template <class V, Is<ControlRequest> E>
void fields(V& v, E& e) {
  v("do", e.what);
  v("words", e.words);
  v("exact", e.exact);
  v("inparallel", e.in_parallel);
  v("netusage", e.netusage_kps);
  v("interface", e.interface);
  v("maxdumps", e.max_dumps);
  v("rate", e.rate);
}
template <class V, Is<ControlDump> E>
void fields(V& v, E& e) {
  v("host", e.host);
  v("disk", e.disk);
  v("level", e.level);
  v("stand", e.stand);
  v("paused", e.paused);
  v("outcome", e.outcome);
  v("bytes", e.bytes);
  v("est_bytes", e.est_bytes);
  v("spindle", e.spindle);
  v("joints", e.joints);
  v("verdict", e.verdict);
}
template <class V, Is<ControlLimit> E>
void fields(V& v, E& e) {
  v("limit", e.limit);
  v("interface", e.interface);
  v("host", e.host);
  v("disk", e.disk);
  v("value", e.value);
  v("configured", e.configured);
}
template <class V, Is<ControlReply> E>
void fields(V& v, E& e) {
  v("error", e.error);
  v("config", e.config);
  v("timestamp", e.timestamp);
  v("now_us", e.now_us);
  v("dumps", e.dumps);
  v("limits", e.limits);
}

namespace {

template <class T>
base::Result<T> parse(std::string_view line, size_t limit_bytes, std::string_view what) {
  if (line.size() > limit_bytes)
    return base::fail(ErrorKind::corrupt,
                      fmt::format("a {} of more than {} bytes is not taken", what, limit_bytes));
  const auto object = journal::json::parse(line, nullptr, false);
  if (!object.is_object())
    return base::fail(ErrorKind::corrupt, fmt::format("this {} is no JSON object", what));
  T value;
  journal::Decoder decoder{object};
  fields(decoder, value);
  if (!decoder.wrong.empty())
    return base::fail(ErrorKind::corrupt,
                      fmt::format("the member \"{}\" of this {} is not as expected", decoder.wrong, what));
  return value;
}

}  // namespace

std::string encode(const ControlRequest& request) {
  journal::Ordered object;
  journal::Encoder encoder{object};
  fields(encoder, request);
  return object.dump();
}

std::string encode(const ControlReply& reply) {
  journal::Ordered object;
  journal::Encoder encoder{object};
  fields(encoder, reply);
  return object.dump();
}

base::Result<ControlRequest> parse_control_request(std::string_view line) {
  auto request = parse<ControlRequest>(line, kMaxControlRequestBytes, "request");
  if (!request) return request;
  const bool changes = request->in_parallel >= 0 || request->netusage_kps >= 0 || request->max_dumps >= 0 ||
                       request->rate >= 0;
  using Do = ControlRequest::Do;
  if (changes && request->what != Do::limit)
    return base::fail(ErrorKind::corrupt, "only \"limit\" takes limits");
  if (request->what == Do::limit && !changes)
    return base::fail(ErrorKind::corrupt, "\"limit\" without a limit; \"show\" shows them");
  if ((request->what == Do::pause || request->what == Do::resume) && request->words.empty())
    return base::fail(ErrorKind::corrupt, "\"pause\" and \"resume\" take at least a host in \"words\"");
  if (request->in_parallel == 0 || request->max_dumps == 0 || request->netusage_kps == 0)
    return base::fail(ErrorKind::corrupt,
                      "inparallel, maxdumps and netusage are at least 1; \"pause\" stops dumps");
  return request;
}

base::Result<ControlReply> parse_control_reply(std::string_view line) {
  return parse<ControlReply>(line, kMaxControlReplyBytes, "reply");
}

}  // namespace headrace::observe
