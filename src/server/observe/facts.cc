#include "server/observe/facts.h"

#include <cmath>

#include "base/bytes.h"
#include "server/observe/status.h"
#include "server/observe/text.h"

namespace headrace::observe {
namespace {

using journal::DumpState;
using journal::RunState;

const char* life_word(Life life) {
  return life == Life::running ? "running" : life == Life::finished ? "finished" : "died";
}

const char* severity_word(journal::Severity severity) {
  switch (severity) {
    case journal::Severity::info:
      return "info";
    case journal::Severity::warning:
      return "warning";
    case journal::Severity::error:
      return "error";
    case journal::Severity::fatal:
      break;
  }
  return "fatal";
}

Json attempts_of(const DumpState& dump) {
  Json out = Json::array();
  for (const auto& attempt : dump.attempts) {
    Json it;
    it["number"] = attempt.number;
    it["to"] = attempt.to == journal::Destination::volume ? "volume" : "holding";
    if (!attempt.why.empty()) it["to_because"] = attempt.why;
    it["started"] = attempt.started_us / 1'000'000;
    if (attempt.ended_us > 0) it["ended"] = attempt.ended_us / 1'000'000;
    if (!attempt.failure.empty()) {
      it["failure"] = attempt.failure;
      it["messages"] = attempt.messages;
    }
    out.push_back(std::move(it));
  }
  return out;
}

void add_movement(Json& out, const DumpState& dump, int64_t now_us) {
  const auto moved = movement_of(dump, now_us);
  out["bytes"] = moved.bytes;
  out["expected_bytes"] = moved.expected;
  if (moved.seconds > 0)
    out["bytes_per_second"] = std::floor(static_cast<double>(moved.bytes) / moved.seconds);
  if (moved.idle_seconds > 0) out["seconds_without_data"] = moved.idle_seconds;
  Json joints = Json::array();
  for (const auto& joint : dump.joints)
    joints.push_back({{"name", joint.name},
                      {"bytes", joint.bytes},
                      {"starved_ms", joint.starved_ms},
                      {"blocked_ms", joint.blocked_ms},
                      {"gated_ms", joint.gated_ms},
                      {"throttled_ms", joint.throttled_ms},
                      {"busy_ms", joint.busy_ms},
                      {"fill_ms", joint.fill_ms}});
  if (!joints.empty()) out["joints"] = std::move(joints);
  Json tcp = Json::array();
  for (const auto& end : dump.tcp)
    tcp.push_back({{"end", end.end},
                   {"busy_ms", end.busy_ms},
                   {"rwnd_limited_ms", end.rwnd_limited_ms},
                   {"sndbuf_limited_ms", end.sndbuf_limited_ms},
                   {"retransmits", end.retransmits},
                   {"segments", end.segments},
                   {"out_of_order", end.out_of_order},
                   {"rtt_us", end.rtt_us}});
  if (!tcp.empty()) out["tcp"] = std::move(tcp);
}

// The verdict in force, if any, and all of them over time.
void add_verdicts(Json& out, const journal::VerdictSpans& verdicts) {
  const auto span_of = [](const journal::VerdictSpan& span) {
    Json it = {{"verdict", span.verdict},
               {"confidence", span.confidence},
               {"evidence", span.evidence},
               {"since", span.from_us / 1'000'000},
               {"seconds", span.seconds()},
               {"first_bytes_per_second", span.first_rate},
               {"last_bytes_per_second", span.last_rate}};
    if (!span.phase.empty()) it["while"] = span.phase;
    return it;
  };
  if (const auto* current = verdicts.current()) out["verdict"] = span_of(*current);
  if (verdicts.spans().empty()) return;
  out["verdicts"] = Json::array();
  for (const auto& span : verdicts.spans()) out["verdicts"].push_back(span_of(span));
}

Json parameters_of(const std::vector<journal::Parameter>& parameters) {
  Json list = Json::array();
  for (const auto& it : parameters) {
    list.push_back({{"name", it.name}, {"value", it.value}});
    if (!it.of.empty()) list.back()["of"] = it.of;
  }
  return list;
}

void add_writing(Json& out, const journal::WritingState& writing) {
  if (!writing.labels.empty()) {
    out["storage"] = writing.storage;
    out["volumes"] = writing.labels;
    out["parts"] = writing.parts;
    out["write_seconds"] = writing.seconds;
  }
  if (!writing.failure.empty()) out["write_failure"] = writing.failure;
}

Json dump_of(const DumpState& dump, Life life, int64_t now_us) {
  Json out;
  out["host"] = dump.image.host;
  out["disk"] = dump.image.disk;
  out["dump"] = dump.image.timestamp;
  out["level"] = dump.image.level;
  out["flush"] = dump.flush;
  out["state"] = is_missing(dump, life) ? "missing" : std::string(journal::name_of(dump.phase));
  if (!dump.waits_for.empty()) out["waits_for"] = dump.waits_for;
  if (!dump.code.empty())
    out[dump.phase == journal::Phase::left ? "left" : "waits"] = {
        {"code", dump.code}, {"parameters", parameters_of(dump.parameters)}};
  if (!dump.flush_code.empty()) out["flushed_because"] = dump.flush_code;
  if (dump.paused) out["paused"] = true;
  if (dump.turn && dump.samples.size() > 1)
    out["since_gates_changed"] = {
        {"at", dump.turn->at_us / 1'000'000},
        {"bytes_per_second", std::floor(dump.recent_bytes_per_second())},
        {"bytes_per_second_before", std::floor(dump.turn->bytes_per_second_before)}};
  if (!dump.plan_reason.empty()) out["reason"] = dump.plan_reason;
  if (!dump.plan_code.empty())
    out["level_because"] = {{"code", dump.plan_code}, {"parameters", parameters_of(dump.plan_parameters)}};
  out["estimated"] = {{"native_kib", dump.est_native_kib}, {"stored_kib", dump.est_stored_kib}};
  const bool moves = dump.phase == journal::Phase::dumping || dump.phase == journal::Phase::writing;
  if (moves && life == Life::running) add_movement(out, dump, now_us);
  add_verdicts(out, dump.verdicts);
  if (dump.dumped || dump.flush) {
    out["native_kib"] = dump.native_kib;
    out["stored_kib"] = dump.stored_kib;
  }
  if (dump.dumped) {
    out["dump_seconds"] = dump.dump_seconds;
    out["native_crc"] = dump.native_crc.text();
    out["client_crc"] = dump.client_crc.text();
    out["server_crc"] = dump.server_crc.text();
    out["strange"] = dump.strange;
    if (dump.strange) out["messages"] = dump.messages;
  }
  if (!dump.attempts.empty()) out["attempts"] = attempts_of(dump);
  if (!dump.failure.empty()) out["failure"] = dump.failure;
  if (dump.phase != journal::Phase::written && !dump.holding_file.empty())
    out["holding_file"] = dump.holding_file;
  if (!dump.left_reason.empty()) out["left_reason"] = dump.left_reason;
  add_writing(out, dump.writing());
  if (dump.storages.size() > 1 || dump.writings.size() > 1) {
    out["storages"] = dump.storages;
    out["writings"] = Json::array();
    for (const auto& writing : dump.writings) {
      Json of = {{"storage", writing.storage}, {"written", writing.written}, {"left", writing.left}};
      add_writing(of, writing);
      out["writings"].push_back(std::move(of));
    }
  }
  return out;
}

Json volume_of(const RunState& state, const journal::VolumeState& volume) {
  Json out;
  out["label"] = volume.label;
  out["slot"] = volume.slot;
  out["storage"] = volume.storage;
  out["pool"] = volume.pool;
  out["used_kib"] = volume.used_kib();
  out["length_kib"] = volume.length_kib;
  out["dumps"] = images_on(state, volume.label);
  out["parts"] = volume.parts;
  out["seconds"] = volume.seconds;
  out["finished"] = volume.finished;
  if (volume.finished) out["message"] = volume.message;
  return out;
}

Json sum_of(const Sum& sum) {
  return {{"dumps", sum.dumps}, {"kib", sum.kib}, {"expected_kib", sum.expected_kib}};
}

}  // namespace

Json facts_of(const RunState& state, Life life, int64_t now_us) {
  Json out;
  out["config"] = state.run.config;
  out["org"] = state.run.org;
  out["timestamp"] = state.run.timestamp;
  out["kind"] = state.run.kind == journal::RunKind::flush ? "flush" : "dump";
  out["hostname"] = state.run.hostname;
  out["pid"] = state.run.pid;
  out["version"] = state.run.version;
  out["state"] = life_word(life);
  out["started"] = state.started_us / 1'000'000;
  out["elapsed_seconds"] = state.elapsed_seconds();
  out["planned"] = state.planned;
  out["exit_status"] = life == Life::running ? Json() : Json(status_bits_of(state));
  add_verdicts(out, state.verdicts);
  const auto sums = sums_of(state, life);
  out["sums"] = {{"all", sum_of(sums.all)},         {"estimating", sum_of(sums.estimating)},
                 {"waiting", sum_of(sums.waiting)}, {"dumping", sum_of(sums.dumping)},
                 {"dumped", sum_of(sums.dumped)},   {"held", sum_of(sums.held)},
                 {"writing", sum_of(sums.writing)}, {"written", sum_of(sums.written)},
                 {"left", sum_of(sums.left)},       {"failed", sum_of(sums.failed)},
                 {"missing", sum_of(sums.missing)}, {"skipped", sum_of(sums.skipped)}};
  out["dumps"] = Json::array();
  for (const auto& dump : state.dumps) out["dumps"].push_back(dump_of(dump, life, now_us));
  out["volumes"] = Json::array();
  for (const auto& volume : state.volumes) out["volumes"].push_back(volume_of(state, volume));
  out["pauses"] = Json::array();
  for (const auto& pause : state.pauses)
    out["pauses"].push_back({{"host", pause.host},
                             {"disk", pause.disk},
                             {"by", pause.by},
                             {"since", pause.since_us / 1'000'000}});
  out["limits"] = Json::array();
  for (const auto& limit : state.limits) {
    Json it = {{"limit", limit.limit}, {"before", limit.before}, {"after", limit.after}};
    if (!limit.interface.empty()) it["interface"] = limit.interface;
    if (!limit.host.empty()) it["host"] = limit.host;
    if (!limit.disk.empty()) it["disk"] = limit.disk;
    out["limits"].push_back(std::move(it));
  }
  const auto no_volume = [](const journal::NoVolume& it) -> Json {
    return {{"trouble", it.trouble == journal::VolumeTrouble::config ? "config" : "error"},
            {"reason", it.reason},
            {"storage", it.storage}};
  };
  if (!state.no_volume.empty()) out["no_volume"] = no_volume(state.no_volume.front());
  if (state.no_volume.size() > 1) {
    out["no_volumes"] = Json::array();
    for (const auto& it : state.no_volume) out["no_volumes"].push_back(no_volume(it));
  }
  out["leftovers"] = Json::array();
  for (const auto& leftover : state.leftovers) out["leftovers"].push_back(leftover.what);
  out["notes"] = Json::array();
  for (const auto& note : state.notes)
    out["notes"].push_back(
        {{"program", note.program}, {"severity", severity_word(note.severity)}, {"text", note.text}});
  return out;
}

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, nlohmann::detail::error_handler_t::replace) + "\n";
}

std::string status_json(const RunState& state, const StatusOptions& options) {
  auto facts = facts_of(state, options.life, options.now_us);
  if (!options.other_runs.empty()) facts["other_runs"] = options.other_runs;
  return text_of(facts);
}

}  // namespace headrace::observe
