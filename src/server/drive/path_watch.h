// What the joints of one dump's path, or of a held image's way to a volume, measured in the last seconds:
// samples in, an observation for flow/verdict.h out. Pure; owned by the job. Samples are totals; a window
// of them gives shares.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/disklist.h"
#include "flow/verdict.h"
#include "journal/event.h"
#include "loop/cpu_use.h"
#include "loop/tcp_info.h"
#include "server/dump/dump.h"

namespace headrace::drive {

// Long enough that one slow moment is no verdict, short enough to see a pause within seconds.
inline constexpr auto kVerdictWindow = std::chrono::seconds(3);

// What is known of the path before anything flows.
struct PathShape {
  bool from_holding = false;  // a held image; else a client's dump
  bool to_volume = false;
  bool client_filters = false;
};
PathShape path_of(const config::DiskListEntry& disk, journal::Destination to);

struct PathSample {
  base::Instant at;
  std::vector<flow::MeterSnapshot> joints;  // our side, in order
  std::optional<dump::ClientMeters> client = {};
  std::optional<loop::TcpFacts> tcp = {};  // our end of the data connection
  loop::CpuUse thread = {};                // ours
  base::Duration waited_for_room{};
};

class PathWatch {
 public:
  explicit PathWatch(PathShape shape) : shape_(shape) {}

  // In the order of time.
  void add(PathSample sample);
  // Of the window; nullopt before any time has passed.
  std::optional<flow::Observation> observe() const;
  // Bytes a second through the last joint, in the window.
  uint64_t rate() const;
  // All joints and connection ends of the newest sample, the client's first, for the journal.
  std::vector<journal::Joint> joints() const;
  std::vector<journal::TcpEnd> tcp() const;

 private:
  bool client_is_fresh() const;
  void observe_client(flow::Observation& out) const;
  void observe_connection(flow::Observation& out) const;

  PathShape shape_;
  std::deque<PathSample> samples_;
};

// Of a whole run at one moment: what moves (dumps, and images on their way to volumes), and how many dumps
// wait for nothing but their turn.
flow::Judgement judge_run(std::span<const flow::Judgement> moving, size_t waiting_for_turn);

}  // namespace headrace::drive
