// A drive with holding disks whose space the test sets by hand, and its commands as text. Tests only.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/drive/drive.h"

namespace headrace::drive {

using config::Holding;
using journal::Destination;
using testing::ElementsAre;
using testing::IsEmpty;

inline std::string text(const Command& command) {
  struct Printer {
    // The first writer is not named.
    static std::string on(size_t writer) { return writer == 0 ? "" : fmt::format(" on {}", writer); }
    std::string operator()(const StartDump& c) const {
      return fmt::format("start {}#{} {}{}", c.id, c.attempt,
                         c.to == Destination::holding ? "holding" : "volume", on(c.writer));
    }
    std::string operator()(const WriteImage& c) const {
      return fmt::format("write {}{}", c.id, on(c.writer));
    }
    std::string operator()(const FindVolume&) const { return "find"; }
    std::string operator()(const LoadVolume& c) const {
      return fmt::format("load {}{}", c.sequence, on(c.writer));
    }
    std::string operator()(const EndVolume& c) const { return "end volume" + on(c.writer); }
    std::string operator()(const DenyVolume& c) const { return "deny" + on(c.writer); }
    std::string operator()(const HandOverVolume& c) const {
      return fmt::format("hand over {} to {}", c.from, c.writer);
    }
    std::string operator()(const Degraded& c) const {
      return fmt::format("degraded {}: {}", c.trouble == journal::VolumeTrouble::config ? "config" : "error",
                         c.reason);
    }
    std::string operator()(const TakeDegraded& c) const { return fmt::format("incremental {}", c.id); }
    std::string operator()(const GiveUp& c) const { return fmt::format("give up {}: {}", c.id, c.reason); }
    std::string operator()(const LeaveOnHolding& c) const {
      return fmt::format("leave {}: {}", c.id, c.reason);
    }
    std::string operator()(const AbortDump& c) const { return fmt::format("abort dump {}", c.id); }
    std::string operator()(const AbortWrite& c) const { return fmt::format("abort write {}", c.id); }
    std::string operator()(const NowWaits& c) const {
      return fmt::format("{} waits for {}", c.id, text_of(c.why));
    }
    std::string operator()(const FinishRun&) const { return "finish"; }
  };
  return std::visit(Printer{}, command);
}

// The limits of a run with one storage.
struct OneStorage {
  int64_t in_parallel = 1;
  int64_t volumes = 1;
  int64_t write_tries = 2;
  int64_t parallel_writes = 1;
  int64_t dumps_on_volume = INT64_MAX;
  uint64_t held_threshold_kib = 0;
  uint64_t scheduled_threshold_kib = 0;
  uint64_t flush_kib = 0;
  config::TaperAlgorithm algorithm = config::TaperAlgorithm::first;
  uint64_t volume_kib = 0;
  int64_t reserve_percent = 0;
  std::string dump_order = {};
  bool finish_soonest = false;
  MeasuredTogether together = {};
  uint64_t volume_kps = 0;
  std::map<std::string, int64_t> interface_kps = {};

  Limits of_run() const {
    return {in_parallel, write_tries, reserve_percent, dump_order, finish_soonest, together, interface_kps};
  }
  StorageLimits of_storage(std::string name = "") const {
    return {std::move(name),         volumes,   parallel_writes, dumps_on_volume, held_threshold_kib,
            scheduled_threshold_kib, flush_kib, algorithm,       volume_kib,      volume_kps};
  }
};

struct PlayedNight {
  explicit PlayedNight(const OneStorage& limits = {.in_parallel = 4, .volumes = 1},
                       uint64_t holding_kib = 1000)
      : PlayedNight(limits.of_run(), {limits.of_storage()}, holding_kib) {}
  PlayedNight(const Limits& limits, const std::vector<StorageLimits>& storages, uint64_t holding_kib = 1000)
      : drive(limits, storages), holding{holding_kib, holding_kib} {}

  // What it answers, without the reasons for waiting.
  std::vector<std::string> on(const Input& input) {
    std::vector<std::string> out;
    waits.clear();
    for (const auto& command : drive.on(input, holding)) {
      if (std::holds_alternative<NowWaits>(command))
        waits.push_back(text(command));
      else
        out.push_back(text(command));
    }
    return out;
  }

  Drive drive;
  HoldingView holding;
  std::vector<std::string> waits;
};

inline Job job(JobId id, std::string host = "h") {
  return {.id = id, .host = std::move(host), .est_stored_kib = 100, .max_dumps = 10};
}
inline Job on_host(JobId id, std::string host, int64_t max_dumps, int spindle = -1) {
  auto it = job(id, std::move(host));
  it.max_dumps = max_dumps;
  it.spindle = spindle;
  return it;
}
inline Job with_holding(JobId id, Holding holding, uint64_t est_kib = 100) {
  auto it = job(id);
  it.holding = holding;
  it.est_stored_kib = est_kib;
  return it;
}

}  // namespace headrace::drive
