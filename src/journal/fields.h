// The names of the events and of their members as the file has them: one list that encoder and decoder share.
// For codecs alone. A name once written stays: old journals are read for as long as volumes are kept.
#pragma once

#include <array>
#include <string_view>
#include <type_traits>

#include "journal/event.h"

namespace headrace::journal {

// Words of the enumerations, in order of their values.
constexpr std::array<std::string_view, 2> words_of(RunKind) { return {"dump", "flush"}; }
constexpr std::array<std::string_view, 2> words_of(Destination) { return {"holding", "volume"}; }
constexpr std::array<std::string_view, 4> words_of(Severity) { return {"info", "warning", "error", "fatal"}; }
constexpr std::array<std::string_view, 2> words_of(VolumeTrouble) { return {"error", "config"}; }

template <class T>
constexpr std::string_view name_of_type() {
  if constexpr (std::is_same_v<T, RunStarted>)
    return "run-started";
  else if constexpr (std::is_same_v<T, RunFinished>)
    return "run-finished";
  else if constexpr (std::is_same_v<T, Note>)
    return "note";
  else if constexpr (std::is_same_v<T, LeftoverFound>)
    return "leftover-found";
  else if constexpr (std::is_same_v<T, DleChosen>)
    return "dle-chosen";
  else if constexpr (std::is_same_v<T, FlushPlanned>)
    return "flush-planned";
  else if constexpr (std::is_same_v<T, EstimateGot>)
    return "estimate-got";
  else if constexpr (std::is_same_v<T, DlePlanned>)
    return "dle-planned";
  else if constexpr (std::is_same_v<T, DleSkipped>)
    return "dle-skipped";
  else if constexpr (std::is_same_v<T, PlanFailed>)
    return "plan-failed";
  else if constexpr (std::is_same_v<T, PlanDone>)
    return "plan-done";
  else if constexpr (std::is_same_v<T, Waiting>)
    return "waiting";
  else if constexpr (std::is_same_v<T, DumpStarted>)
    return "dump-started";
  else if constexpr (std::is_same_v<T, DumpProgress>)
    return "dump-progress";
  else if constexpr (std::is_same_v<T, DumpFinished>)
    return "dump-finished";
  else if constexpr (std::is_same_v<T, DumpFailed>)
    return "dump-failed";
  else if constexpr (std::is_same_v<T, DumpGivenUp>)
    return "dump-given-up";
  else if constexpr (std::is_same_v<T, ImageHeld>)
    return "image-held";
  else if constexpr (std::is_same_v<T, VolumeStarted>)
    return "volume-started";
  else if constexpr (std::is_same_v<T, ImageWriteStarted>)
    return "image-write-started";
  else if constexpr (std::is_same_v<T, PartWritten>)
    return "part-written";
  else if constexpr (std::is_same_v<T, PartFailed>)
    return "part-failed";
  else if constexpr (std::is_same_v<T, ImageWritten>)
    return "image-written";
  else if constexpr (std::is_same_v<T, ImageWriteFailed>)
    return "image-write-failed";
  else if constexpr (std::is_same_v<T, ImageLeftOnHolding>)
    return "image-left-on-holding";
  else if constexpr (std::is_same_v<T, VolumeFinished>)
    return "volume-finished";
  else if constexpr (std::is_same_v<T, NoVolume>)
    return "no-volume";
  else if constexpr (std::is_same_v<T, Verdict>)
    return "verdict";
  else if constexpr (std::is_same_v<T, RunVerdict>)
    return "run-verdict";
  else if constexpr (std::is_same_v<T, DumpPaused>)
    return "dump-paused";
  else if constexpr (std::is_same_v<T, DumpResumed>)
    return "dump-resumed";
  else if constexpr (std::is_same_v<T, LimitChanged>)
    return "limit-changed";
  else {
    static_assert(std::is_same_v<T, Unknown>, "an event needs a name");
    return "";
  }
}

// `T` or `const T`.
template <class E, class T>
concept Is = std::is_same_v<std::remove_const_t<E>, T>;

template <class V, class I>
void image_fields(V& v, I& image) {
  v("host", image.host);
  v("disk", image.disk);
  v("dump", image.timestamp);
  v("level", image.level);
}

template <class V, Is<Joint> E>
void fields(V& v, E& e) {
  v("name", e.name);
  v("bytes", e.bytes);
  v("starved_ms", e.starved_ms);
  v("blocked_ms", e.blocked_ms);
  v("gated_ms", e.gated_ms);
  v("throttled_ms", e.throttled_ms);
  v("busy_ms", e.busy_ms);
  v("fill_ms", e.fill_ms);
}
template <class V, Is<TcpEnd> E>
void fields(V& v, E& e) {
  v("end", e.end);
  v("busy_ms", e.busy_ms);
  v("rwnd_limited_ms", e.rwnd_limited_ms);
  v("sndbuf_limited_ms", e.sndbuf_limited_ms);
  v("retransmits", e.retransmits);
  v("segments", e.segments);
  v("out_of_order", e.out_of_order);
  v("rtt_us", e.rtt_us);
}
template <class V, Is<Parameter> E>
void fields(V& v, E& e) {
  v("name", e.name);
  v("value", e.value);
  v("of", e.of);
}
template <class V, Is<RunStarted> E>
void fields(V& v, E& e) {
  v("config", e.config);
  v("org", e.org);
  v("timestamp", e.timestamp);
  v("hostname", e.hostname);
  v("pid", e.pid);
  v("version", e.version);
  v("kind", e.kind);
  v("in_parallel", e.in_parallel);
}
template <class V, Is<RunFinished> E>
void fields(V& v, E& e) {
  v("exit_status", e.exit_status);
  v("seconds", e.seconds);
}
template <class V, Is<Note> E>
void fields(V& v, E& e) {
  v("program", e.program);
  v("severity", e.severity);
  v("text", e.text);
}
template <class V, Is<LeftoverFound> E>
void fields(V& v, E& e) {
  v("what", e.what);
  v("host", e.host);
  v("disk", e.disk);
  v("dump", e.timestamp);
  v("cut-level", e.cut_level);
}
template <class V, Is<DleChosen> E>
void fields(V& v, E& e) {
  v("host", e.host);
  v("disk", e.disk);
}
template <class V, Is<FlushPlanned> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("holding_file", e.holding_file);
  v("stored_kib", e.stored_kib);
  v("code", e.code);
  v("storages", e.storages);
}
template <class V, Is<EstimateGot> E>
void fields(V& v, E& e) {
  v("host", e.host);
  v("disk", e.disk);
  v("level", e.level);
  v("native_kib", e.native_kib);
  v("method", e.method);
}
template <class V, Is<DlePlanned> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("reason", e.reason);
  v("est_native_kib", e.est_native_kib);
  v("est_stored_kib", e.est_stored_kib);
  v("est_kps", e.est_kps);
  v("interface", e.interface);
  v("interface_kps", e.interface_kps);
  v("code", e.code);
  v("parameters", e.parameters);
  v("max_dumps", e.max_dumps);
}
template <class V, Is<DleSkipped> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("reason", e.reason);
}
template <class V, Is<PlanFailed> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("message", e.message);
}
template <class V, Is<PlanDone> E>
void fields(V& v, E& e) {
  v("seconds", e.seconds);
}
template <class V, Is<Waiting> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("reason", e.reason);
  v("code", e.code);
  v("parameters", e.parameters);
}
template <class V, Is<DumpStarted> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("attempt", e.attempt);
  v("to", e.to);
  v("path", e.path);
  v("why", e.why);
}
template <class V, Is<DumpProgress> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("bytes", e.bytes);
  v("waits_for", e.waits_for);
  v("joints", e.joints);
  v("tcp", e.tcp);
  v("storage", e.storage);
}
template <class V, Is<Verdict> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("verdict", e.verdict);
  v("confidence", e.confidence);
  v("evidence", e.evidence);
  v("rate", e.rate);
  v("storage", e.storage);
}
template <class V, Is<RunVerdict> E>
void fields(V& v, E& e) {
  v("verdict", e.verdict);
  v("confidence", e.confidence);
  v("evidence", e.evidence);
  v("rate", e.rate);
}
template <class V, Is<DumpFinished> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("attempt", e.attempt);
  v("native_kib", e.native_kib);
  v("stored_kib", e.stored_kib);
  v("seconds", e.seconds);
  v("native_crc", e.native_crc);
  v("client_crc", e.client_crc);
  v("server_crc", e.server_crc);
  v("strange", e.strange);
  v("messages", e.messages);
}
template <class V, Is<DumpFailed> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("attempt", e.attempt);
  v("message", e.message);
  v("messages", e.messages);
  v("will_retry", e.will_retry);
}
template <class V, Is<DumpGivenUp> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("reason", e.reason);
  v("code", e.code);
  v("parameters", e.parameters);
}
template <class V, Is<ImageHeld> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("holding_file", e.holding_file);
  v("stored_kib", e.stored_kib);
  v("seconds", e.seconds);
  v("server_crc", e.server_crc);
  v("storages", e.storages);
}
template <class V, Is<VolumeStarted> E>
void fields(V& v, E& e) {
  v("label", e.label);
  v("slot", e.slot);
  v("sequence", e.sequence);
  v("storage", e.storage);
  v("pool", e.pool);
  v("timestamp", e.timestamp);
  v("length_kib", e.length_kib);
}
template <class V, Is<ImageWriteStarted> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("storage", e.storage);
  v("pool", e.pool);
  v("label", e.label);
}
template <class V, Is<PartWritten> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("storage", e.storage);
  v("pool", e.pool);
  v("label", e.label);
  v("fileno", e.fileno);
  v("part", e.part);
  v("parts", e.parts);
  v("bytes", e.bytes);
  v("seconds", e.seconds);
  v("orig_kib", e.orig_kib);
}
template <class V, Is<PartFailed> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("storage", e.storage);
  v("pool", e.pool);
  v("label", e.label);
  v("fileno", e.fileno);
  v("part", e.part);
  v("bytes", e.bytes);
  v("seconds", e.seconds);
  v("reason", e.reason);
}
template <class V, Is<ImageWritten> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("storage", e.storage);
  v("pool", e.pool);
  v("parts", e.parts);
  v("bytes", e.bytes);
  v("seconds", e.seconds);
  v("orig_kib", e.orig_kib);
  v("native_crc", e.native_crc);
  v("client_crc", e.client_crc);
  v("server_crc", e.server_crc);
}
template <class V, Is<ImageWriteFailed> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("storage", e.storage);
  v("pool", e.pool);
  v("partial", e.partial);
  v("parts", e.parts);
  v("bytes", e.bytes);
  v("seconds", e.seconds);
  v("reason", e.reason);
  v("will_retry", e.will_retry);
}
template <class V, Is<ImageLeftOnHolding> E>
void fields(V& v, E& e) {
  image_fields(v, e.image);
  v("holding_file", e.holding_file);
  v("stored_kib", e.stored_kib);
  v("reason", e.reason);
  v("code", e.code);
  v("parameters", e.parameters);
  v("storage", e.storage);
}
template <class V, Is<VolumeFinished> E>
void fields(V& v, E& e) {
  v("label", e.label);
  v("kib", e.kib);
  v("files", e.files);
  v("message", e.message);
}
template <class V, Is<NoVolume> E>
void fields(V& v, E& e) {
  v("trouble", e.trouble);
  v("reason", e.reason);
  v("storage", e.storage);
}
template <class V, Is<DumpPaused> E>
void fields(V& v, E& e) {
  v("host", e.host);
  v("disk", e.disk);
  v("by", e.by);
}
template <class V, Is<DumpResumed> E>
void fields(V& v, E& e) {
  v("host", e.host);
  v("disk", e.disk);
  v("by", e.by);
}
template <class V, Is<LimitChanged> E>
void fields(V& v, E& e) {
  v("limit", e.limit);
  v("interface", e.interface);
  v("host", e.host);
  v("disk", e.disk);
  v("before", e.before);
  v("after", e.after);
}

}  // namespace headrace::journal
