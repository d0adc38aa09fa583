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

#include "flow/verdict.h"
#include "journal/event.h"
#include "server/drive/drive_job.h"

namespace headrace::drive {

// --- what happened
// ------------------------------------------------------------------------------------------

// The run begins: whether there is any volume to write is to be known before its first dump starts. Once,
// before all else, or never: then it is found out when the first one is wanted.
struct LookForVolume {};
// Answer to FindVolume; empty: there is one.
struct VolumeSought {
  std::string why_none = {};
  size_t storage = 0;
};
// Images of earlier runs that are to be written; any time before Schedule.
struct Flush {
  std::vector<JobId> images;
  std::vector<uint64_t> stored_kib = {};  // of each; missing: 1
  std::vector<size_t> runs = {};          // which earlier run each is of, rising with time; missing: one
  std::vector<Storages> storages = {};    // that each is still to be written to; missing: the first one
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
  size_t storage = 0;
};
struct ImageFailed {
  JobId id = 0;
  std::string message = {};
  bool volume_lost = false;
  bool unreadable = false;  // the holding file is at fault: writing it again is useless
  size_t storage = 0;
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

using Input = std::variant<LookForVolume, VolumeSought, Flush, Schedule, Released, HoldingRefused, DumpHeld,
                           DumpWritten, DumpFailed, ImageWritten, ImageFailed, VolumeReady, NoVolume,
                           VolumeEnded, SpaceFreed, SpaceWanted, ChangeLimits, Pause, Resume, Cancel>;

// --- what to do
// ---------------------------------------------------------------------------------------------

// Why a dump goes where it goes.
enum class Way {
  holding_has_room,
  no_volume,
  never_holding,
  only_when_degraded,
  no_holding_disk,
  failed_on_holding,
  no_room
};
struct StartDump {
  JobId id = 0;
  int attempt = 1;  // from 1
  journal::Destination to = journal::Destination::holding;
  size_t writer = 0;  // of one that goes to a volume
  Way way = Way::holding_has_room;
};
struct WriteImage {
  JobId id = 0;
  size_t writer = 0;
};
// Find the volume that the storage's first LoadVolume will load, without changing it.
struct FindVolume {
  size_t storage = 0;
};
struct LoadVolume {
  int sequence = 1;  // of the storage's volumes in this run, from 1
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
// From now on nothing reaches a volume of the storage; once for each.
struct Degraded {
  journal::VolumeTrouble trouble = journal::VolumeTrouble::error;
  std::string reason;
  size_t storage = 0;
};
// From now on its degraded form is what is to be dumped; it has not started.
struct TakeDegraded {
  JobId id = 0;
};
// Ended, without an image.
enum class Lost {
  failed,           // it was tried, as often as it may be
  ended_early,      // with the run
  not_selected,     // no storage takes it, and there is no holding disk to keep it
  never_holding,    // there is no volume, and it may not go anywhere else
  no_holding_disk,  // likewise, and there is nothing else
  no_room,          // nor has holding disk room for it
  reserved,         // there is no volume, and what is left of holding disk is kept for incrementals
};
struct GiveUp {
  JobId id = 0;
  std::string reason;
  Lost why = Lost::failed;
};
// For this storage it is over: the image stays on holding disk for a later run. The job has ended when each
// of its storages has the image or it was left for it.
enum class Left { ended_early, no_volume, thresholds, write_failed, unreadable, not_selected };
struct LeaveOnHolding {
  JobId id = 0;
  std::string reason;
  Left why = Left::no_volume;
  size_t storage = 0;  // no matter when no storage selects it
};
// Stop it; its end is reported as usual.
struct AbortDump {
  JobId id = 0;
};
struct AbortWrite {
  JobId id = 0;
  size_t storage = 0;
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
// Says why a job does not move, whenever that changes; of a held image, on its way to which storage.
struct NowWaits {
  JobId id = 0;
  Wait why = Wait::parallel_limit;
  std::optional<size_t> storage = {};
};
struct FinishRun {};

using Command =
    std::variant<FindVolume, StartDump, WriteImage, LoadVolume, EndVolume, DenyVolume, HandOverVolume,
                 Degraded, TakeDegraded, GiveUp, LeaveOnHolding, AbortDump, AbortWrite, NowWaits, FinishRun>;

// "the holding disks to have room": follows "waits for".
std::string_view text_of(Wait why);
// What of a dump's path such a wait is the fault of.
flow::Verdict verdict_of(Wait why);

}  // namespace headrace::drive
