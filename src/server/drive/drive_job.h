// What the drive (drive.h) is given to work on: its limits, the room there is, the dumps of a night. Values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/dumptype.h"
#include "config/server_config.h"

namespace headrace::drive {

// Chosen by the runner; unique within the run.
using JobId = size_t;

// Of one storage.
struct StorageLimits {
  std::string name = {};
  int64_t volumes = 1;  // volumes this run may use (runtapes); 0: none
  // Volumes written at a time, within `volumes` (taper-parallel-write); below 1 means 1.
  int64_t parallel_writes = 1;
  // Dumps on one volume, each that has a part there (max-dle-by-volume); below 1 means 1.
  int64_t dumps_on_volume = INT64_MAX;
  // A volume is begun when what is held, and what is held and still to come, are more than these parts of it;
  // at the end of the run when what is held is more than `flush_kib` (flush-threshold-dumped,
  // flush-threshold-scheduled, taperflush).
  uint64_t held_threshold_kib = 0;
  uint64_t scheduled_threshold_kib = 0;
  uint64_t flush_kib = 0;
  // Which held image of the oldest run is written next, and what a volume takes; 0: not known, all fit.
  config::TaperAlgorithm algorithm = config::TaperAlgorithm::first;
  uint64_t volume_kib = 0;
  uint64_t kps = 0;  // what its writers take together; 0: not known
};

// As measured in earlier runs (together_meter.h): the most that dumps brought at a time, two or more of them
// (KiB/s). Beyond it, one more at a time makes none end sooner.
struct MeasuredTogether {
  std::map<std::string, uint64_t> host_kps = {};  // those of one host; not in here: not known
  uint64_t kps = 0;                               // all; 0: not known
};

struct Limits {
  int64_t in_parallel = 1;  // dumps at a time (inparallel); below 1 means 1
  int64_t write_tries = 2;  // of one held image, on each storage
  // What of all holding disk is kept for incrementals when there is no volume (reserve).
  int64_t reserve_percent = 0;
  // What each dumper prefers among the dumps that may start on holding disk (dumporder): s, t, b smallest
  // size, time, rate; S, T, B largest. Beyond its end t for the first three, then T. Empty: the schedule's
  // order.
  std::string dump_order = {};
  // Without a dump_order: dumps that may start do so in the order by which the run ends soonest, as far as
  // priorities allow (finish_order.h); else in that of the schedule.
  bool finish_soonest = false;
  MeasuredTogether together = {};
  // KiB/s that the dumps of an interface may take together, as estimated; not in here: no limit.
  std::map<std::string, int64_t> interface_kps = {};
};

// The holding disks at this moment, after all that the runner has promised to dumps.
struct HoldingView {
  uint64_t total_kib = 0;
  uint64_t free_kib = 0;
};

// Which of the run's storages an image goes to, rising. None: no storage selects it (dump-selection).
using Storages = std::vector<size_t>;

// A planned dump.
struct Job {
  JobId id = 0;
  std::string host;
  uint64_t est_stored_kib = 0;
  int64_t max_dumps = 1;  // of its host at a time; below 1 means 1
  int spindle = -1;       // two dumps of one host and spindle never run together; -1: no matter
  config::Holding holding = config::Holding::automatic;
  int64_t tries = 2;       // below 1 means 1
  bool postponed = false;  // waits for Released (starttime)
  bool paused = false;     // waits for Resume
  std::string interface = {};
  uint64_t est_kps = 0;  // 0: unknown, counts as kUnknownKps
  // As measured in earlier runs when nothing of the server held it back; 0: never.
  uint64_t own_kps = 0;
  // As configured; by dump_order and finish_soonest none goes before one of a higher priority.
  int64_t priority = 0;
  bool full = false;
  // Of a full: the incremental to make when there is no volume for it, or why there is none.
  struct Incremental {
    uint64_t est_stored_kib = 0;
    uint64_t est_kps = 0;
    uint64_t own_kps = 0;
    Storages storages = {0};
  };
  std::optional<Incremental> degraded = {};
  std::string not_degraded = {};
  bool splits = true;  // its image may go on on the next volume
  Storages storages = {0};
};
// What Amanda expects of a dump that has no history.
inline constexpr uint64_t kUnknownKps = 1024;

}  // namespace headrace::drive
