#include "server/drive/log_lines.h"

#include <fmt/format.h>

#include <algorithm>

namespace headrace::drive {

namespace {

using compat::LogLine;
using Lines = std::vector<LogLine>;

const journal::DumpState* find(const journal::RunState& state, const journal::ImageId& image) {
  for (const auto& dump : state.dumps) {
    if (dump.image.host == image.host && dump.image.disk == image.disk &&
        dump.image.timestamp == image.timestamp) {
      return &dump;
    }
  }
  return nullptr;
}

double kps(double kib, double seconds) { return seconds > 0 ? kib / seconds : 0; }

struct ToLines {
  const journal::RunState& before;
  const std::string& stamp() const { return before.run.timestamp; }

  Lines operator()(const journal::RunStarted& e) const {
    const char* program = e.kind == journal::RunKind::flush ? "amflush" : "amdump";
    return {compat::PidLine{program, program, e.pid}, compat::StartLine{"planner", e.timestamp},
            compat::StartLine{"driver", e.timestamp}, compat::HostnameLine{"driver", e.hostname}};
  }
  Lines operator()(const journal::RunFinished& e) const {
    return {compat::FinishLine{"driver", stamp(), e.seconds},
            compat::PidDoneLine{before.run.kind == journal::RunKind::flush ? "amflush" : "amdump",
                                before.run.pid}};
  }
  Lines operator()(const journal::Note& e) const {
    const char* type = "INFO";
    if (e.severity == journal::Severity::warning) type = "WARNING";
    if (e.severity == journal::Severity::error) type = "ERROR";
    if (e.severity == journal::Severity::fatal) type = "FATAL";
    return {compat::NoteLine{type, e.program, e.text, {}}};
  }
  Lines operator()(const journal::LeftoverFound& e) const {
    // The dead run's own log has no word about it, and the plan must know (night.cc).
    if (e.cut_level >= 0)
      return {compat::FailLine{"dumper", e.host, e.disk, e.timestamp, e.cut_level, e.what, {}}};
    return {compat::NoteLine{"WARNING", "driver", e.what, {}}};
  }
  Lines operator()(const journal::DleChosen& e) const {
    return {compat::DiskLine{"planner", e.host, e.disk}};
  }
  Lines operator()(const journal::FlushPlanned& e) const {
    return {compat::DiskLine{"planner", e.image.host, e.image.disk}};
  }
  Lines operator()(const journal::EstimateGot&) const { return {}; }
  Lines operator()(const journal::DlePlanned&) const { return {}; }
  Lines operator()(const journal::DleSkipped& e) const {
    return {compat::SkippedLine{e.image.host, e.image.disk, e.image.timestamp, e.image.level, e.reason}};
  }
  Lines operator()(const journal::PlanFailed& e) const {
    return {compat::FailLine{
        "planner", e.image.host, e.image.disk, e.image.timestamp, e.image.level, e.message, {}}};
  }
  Lines operator()(const journal::PlanDone& e) const {
    return {compat::FinishLine{"planner", stamp(), e.seconds}, compat::StartupLine{"driver", e.seconds}};
  }
  Lines operator()(const journal::Waiting&) const { return {}; }
  Lines operator()(const journal::DumpStarted&) const { return {}; }
  Lines operator()(const journal::DumpProgress&) const { return {}; }

  Lines operator()(const journal::DumpFinished& e) const {
    compat::DumpedLine dumped;
    dumped.strange = e.strange;
    dumped.host = e.image.host;
    dumped.disk = e.image.disk;
    dumped.timestamp = e.image.timestamp;
    dumped.level = e.image.level;
    dumped.native = e.native_crc;
    dumped.client = e.client_crc;
    dumped.seconds = e.seconds;
    // What the dumper received: filters of the server come behind it.
    const uint64_t received_kib = e.client_crc.known() ? base::to_kib(e.client_crc.size) : e.stored_kib;
    dumped.stored_kib = static_cast<int64_t>(received_kib);
    dumped.kps = kps(static_cast<double>(received_kib), e.seconds);
    dumped.native_kib = static_cast<int64_t>(e.native_kib);
    if (e.strange) dumped.messages = e.messages;
    Lines lines{dumped};
    const auto* dump = find(before, e.image);
    const bool held = dump == nullptr || dump->attempts.empty() ||
                      dump->attempts.back().to == journal::Destination::holding;
    if (held) {
      compat::ChunkedLine chunked;
      chunked.host = e.image.host;
      chunked.disk = e.image.disk;
      chunked.timestamp = e.image.timestamp;
      chunked.level = e.image.level;
      chunked.server = e.server_crc;
      chunked.seconds = e.seconds;
      chunked.stored_kib = static_cast<int64_t>(e.stored_kib);
      chunked.kps = kps(static_cast<double>(e.stored_kib), e.seconds);
      lines.emplace_back(chunked);
    }
    if (dump != nullptr) {
      const auto speed = static_cast<int64_t>(dump->est_kps > 0 ? dump->est_kps : 1024);
      lines.emplace_back(compat::EstimateLine{e.image.host, e.image.disk, e.image.timestamp, e.image.level,
                                              static_cast<int64_t>(dump->est_stored_kib) / speed,
                                              static_cast<int64_t>(dump->est_native_kib),
                                              static_cast<int64_t>(dump->est_stored_kib), speed});
    }
    return lines;
  }

  Lines operator()(const journal::DumpFailed& e) const {
    return {compat::FailLine{"dumper", e.image.host, e.image.disk, e.image.timestamp, e.image.level,
                             e.message, e.messages}};
  }
  Lines operator()(const journal::DumpGivenUp& e) const {
    const auto* dump = find(before, e.image);
    // After failed tries the dumper's own lines have said it.
    if (dump != nullptr && !dump->attempts.empty()) return {};
    return {compat::FailLine{
        "driver", e.image.host, e.image.disk, e.image.timestamp, e.image.level, e.reason, {}}};
  }
  Lines operator()(const journal::ImageHeld&) const { return {}; }
  Lines operator()(const journal::VolumeStarted& e) const {
    return {compat::TapeStartLine{e.timestamp, e.storage, e.pool, e.label, e.sequence}};
  }
  Lines operator()(const journal::ImageWriteStarted&) const { return {}; }

  static compat::TaperStats stats(double seconds, uint64_t bytes, uint64_t orig_kib) {
    return compat::TaperStats::of(seconds, bytes, orig_kib == 0 ? -1 : static_cast<int64_t>(orig_kib));
  }
  Lines operator()(const journal::PartWritten& e) const {
    return {compat::PartLine{false,
                             e.storage,
                             e.pool,
                             e.label,
                             static_cast<int64_t>(e.fileno),
                             e.image.host,
                             e.image.disk,
                             e.image.timestamp,
                             e.part,
                             e.parts,
                             e.image.level,
                             stats(e.seconds, e.bytes, e.orig_kib),
                             {}}};
  }
  Lines operator()(const journal::PartFailed& e) const {
    return {compat::PartLine{true, e.storage, e.pool, e.label, static_cast<int64_t>(e.fileno), e.image.host,
                             e.image.disk, e.image.timestamp, e.part, -1, e.image.level,
                             stats(e.seconds, e.bytes, 0), e.reason}};
  }
  Lines operator()(const journal::ImageWritten& e) const {
    return {compat::TapedLine{false,
                              e.storage,
                              e.pool,
                              e.image.host,
                              e.image.disk,
                              e.image.timestamp,
                              e.parts,
                              e.image.level,
                              compat::TapedCrcs{e.native_crc, e.client_crc, e.server_crc},
                              stats(e.seconds, e.bytes, e.orig_kib),
                              {}}};
  }
  Lines operator()(const journal::ImageWriteFailed& e) const {
    if (e.partial) {
      return {compat::TapedLine{true, e.storage, e.pool, e.image.host, e.image.disk, e.image.timestamp,
                                e.parts, e.image.level, compat::TapedCrcs{}, stats(e.seconds, e.bytes, 0),
                                e.reason}};
    }
    return {compat::TaperFailLine{false, e.storage, e.pool, e.image.host, e.image.disk, e.image.timestamp,
                                  e.image.level, false, e.reason}};
  }
  Lines operator()(const journal::ImageLeftOnHolding&) const { return {}; }
  Lines operator()(const journal::VolumeFinished& e) const {
    return {compat::TapeSummaryLine{e.label, static_cast<int64_t>(e.kib), static_cast<int64_t>(e.files),
                                    e.message}};
  }
  Lines operator()(const journal::NoVolume& e) const {
    return {compat::NoTapeLine{e.trouble == journal::VolumeTrouble::config, e.reason}};
  }
  Lines operator()(const journal::DumpPaused&) const { return {}; }
  Lines operator()(const journal::DumpResumed&) const { return {}; }
  Lines operator()(const journal::LimitChanged&) const { return {}; }
  Lines operator()(const journal::Verdict&) const { return {}; }
  Lines operator()(const journal::RunVerdict&) const { return {}; }
  Lines operator()(const journal::Unknown&) const { return {}; }
};

}  // namespace

std::vector<LogLine> log_lines(const journal::Body& body, const journal::RunState& before) {
  return std::visit(ToLines{before}, body);
}

}  // namespace headrace::drive
