// What the drive (drive.h) hears and says: a planned dump, what happened, what to do. Values; owned by
// whoever holds them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/dumptype.h"
#include "config/server_config.h"
#include "flow/verdict.h"
#include "journal/event.h"

namespace headrace::drive {

// Chosen by the runner; unique within the run.
using JobId = size_t;

struct Limits {
  int64_t in_parallel = 1;  // dumps at a time (inparallel); below 1 means 1
  int64_t volumes = 1;      // volumes this run may use (runtapes); 0: none
  int64_t write_tries = 2;  // of one held image
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
  // What of all holding disk is kept for incrementals when there is no volume (reserve).
  int64_t reserve_percent = 0;
  // What each dumper prefers among the dumps that may start on holding disk (dumporder): s, t, b smallest
  // size, time, rate; S, T, B largest. Beyond its end t for the first three, then T. Empty: the schedule's
  // order.
  std::string dump_order = {};
  // KiB/s that the dumps of an interface may take together, as estimated; not in here: no limit.
  std::map<std::string, int64_t> interface_kps = {};
};

// The holding disks at this moment, after all that the runner has promised to dumps.
struct HoldingView {
  uint64_t total_kib = 0;
  uint64_t free_kib = 0;
};

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
  int64_t priority = 0;  // as configured; by dump_order none goes before one of a higher priority
  bool full = false;
  // Of a full: the incremental to make when there is no volume for it, or why there is none.
  struct Incremental {
    uint64_t est_stored_kib = 0;
    uint64_t est_kps = 0;
  };
  std::optional<Incremental> degraded = {};
  std::string not_degraded = {};
  bool splits = true;  // its image may go on on the next volume
};
// What Amanda expects of a dump that has no history.
inline constexpr uint64_t kUnknownKps = 1024;

// --- what happened
// ------------------------------------------------------------------------------------------

// Images of earlier runs that are to be written; any time before Schedule.
struct Flush {
  std::vector<JobId> images;
  std::vector<uint64_t> stored_kib = {};  // of each; missing: 1
  std::vector<size_t> runs = {};          // which earlier run each is of, rising with time; missing: one
};
// Tonight's dumps in order of preference. Once; nothing is added later. Not needed after Cancel.
struct Schedule {
  std::vector<Job> dumps;
};
// The moment a postponed dump waited for has come.
struct Released {
  JobId id = 0;
};
// StartDump to holding could not reserve room: nothing was started.
struct HoldingRefused {
  JobId id = 0;
};
// The dump is complete on holding disk.
struct DumpHeld {
  JobId id = 0;
  uint64_t stored_kib = 1;
};
// The dump is complete on volumes.
struct DumpWritten {
  JobId id = 0;
};
struct DumpFailed {
  enum class Kind {
    failed,    // may go well another time
    refused,   // would fail again
    no_space,  // holding disks had no room for all of it
    postpone,  // the client asks to come later; Released follows
  };
  JobId id = 0;
  Kind kind = Kind::failed;
  std::string message = {};
  bool volume_lost = false;  // it went to a volume, which cannot be used any more
};
struct ImageWritten {
  JobId id = 0;
};
struct ImageFailed {
  JobId id = 0;
  std::string message = {};
  bool volume_lost = false;
  bool unreadable = false;  // the holding file is at fault: writing it again is useless
};
// Answers to LoadVolume.
struct VolumeReady {
  size_t writer = 0;
};
struct NoVolume {
  std::string reason;
  size_t writer = 0;
};
// The writer's volume is at its end. In the middle of an image, LoadVolume, HandOverVolume or DenyVolume
// follows.
struct VolumeEnded {
  size_t writer = 0;
};
// Space came free on holding disks, as the view says.
struct SpaceFreed {};
// A dump under way has used up its room on holding disk and waits for more.
struct SpaceWanted {};
// These limits are others from now on, the rest stays. Nothing that runs is stopped.
struct ChangeLimits {
  std::optional<int64_t> in_parallel = {};
  std::map<std::string, int64_t> interface_kps = {};
  std::map<std::string, int64_t> max_dumps = {};  // by host
};
// The dump does not start, and is not tried again, before Resume. One that runs keeps its place: to stop its
// bytes is the runner's part.
struct Pause {
  JobId id = 0;
};
struct Resume {
  JobId id = 0;
};
// Ends the run as soon as possible.
struct Cancel {
  std::string reason;
};

using Input = std::variant<Flush, Schedule, Released, HoldingRefused, DumpHeld, DumpWritten, DumpFailed,
                           ImageWritten, ImageFailed, VolumeReady, NoVolume, VolumeEnded, SpaceFreed,
                           SpaceWanted, ChangeLimits, Pause, Resume, Cancel>;

// --- what to do
// ---------------------------------------------------------------------------------------------

struct StartDump {
  JobId id = 0;
  int attempt = 1;  // from 1
  journal::Destination to = journal::Destination::holding;
  size_t writer = 0;  // of one that goes to a volume
};
struct WriteImage {
  JobId id = 0;
  size_t writer = 0;
};
struct LoadVolume {
  int sequence = 1;  // of the run's volumes, from 1
  size_t writer = 0;
};
// The volume of the writer, which is idle, takes no more dumps: it is done with.
struct EndVolume {
  size_t writer = 0;
};
// The writer's image gets no further volume: end it with ImageFailed or DumpFailed.
struct DenyVolume {
  std::string reason;
  size_t writer = 0;
};
// The writer's image goes on on the volume of one that is idle, which has none from now on.
struct HandOverVolume {
  size_t from = 0;
  size_t writer = 0;
};
// From now on nothing reaches a volume; once.
struct Degraded {
  journal::VolumeTrouble trouble = journal::VolumeTrouble::error;
  std::string reason;
};
// From now on its degraded form is what is to be dumped; it has not started.
struct TakeDegraded {
  JobId id = 0;
};
// Ended, without an image.
struct GiveUp {
  JobId id = 0;
  std::string reason;
};
// Ended; the image stays on holding disk for a later run.
struct LeaveOnHolding {
  JobId id = 0;
  std::string reason;
};
// Stop it; its end is reported as usual.
struct AbortDump {
  JobId id = 0;
};
struct AbortWrite {
  JobId id = 0;
};
enum class Wait {
  parallel_limit,
  host_limit,
  spindle,
  network,
  holding_space,
  volume_writer,
  volume,
  its_time,
  others,
  resume,
  thresholds
};
// Says why a job does not move, whenever that changes.
struct NowWaits {
  JobId id = 0;
  Wait why = Wait::parallel_limit;
};
struct FinishRun {};

using Command =
    std::variant<StartDump, WriteImage, LoadVolume, EndVolume, DenyVolume, HandOverVolume, Degraded,
                 TakeDegraded, GiveUp, LeaveOnHolding, AbortDump, AbortWrite, NowWaits, FinishRun>;

// "the holding disks to have room": follows "waits for".
std::string_view text_of(Wait why);
// What of a dump's path such a wait is the fault of.
flow::Verdict verdict_of(Wait why);

}  // namespace headrace::drive
