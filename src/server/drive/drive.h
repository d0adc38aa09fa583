// What a run does next: a pure state machine, fed with what happened, answering with what to do. No clock, no
// file, no callback: the runner (runner.h) carries the commands out and reports back. Owned by the runner.
//
// One job, a dump of tonight or an image of an earlier run:
//
//            Schedule              start (limits, space)        DumpHeld                 write
//   (dump) ───────────▶ waiting ───────────────▶ dumping ───────────────▶ held ◀──────────────▶ writing
//   Flush ────────────────────────────────────────────────────────────────▶│   failed, tries left │
//                        ▲ │ ▲                    │ │ DumpWritten           │                     │
//                        ImageWritten
//             Released   │ │ └─ failed, tries left┘ └──────────────▶ ended ◀─┴─ left on holding ───┘
//                 postponed└─ given up ────────────────────────────▶   │
//                                                      all ended ─▶ FinishRun
//
// The volume all jobs share, with one writer on it (a held image, or a dump that goes straight to it):
//
//   none ──LoadVolume──▶ loading ──VolumeReady──▶ ready ──VolumeEnded, lost──▶ none
//     └── no volume left ──▶ gone ◀── NoVolume ─────┘        (gone: degraded; dumps stay on holding disk)
//
// Every job ends exactly once: with the input ImageWritten or DumpWritten, or with the command GiveUp or
// LeaveOnHolding. FinishRun comes exactly once, last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
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
struct VolumeReady {};
struct NoVolume {
  std::string reason;
};
// The volume is at its end. In the middle of an image, LoadVolume or DenyVolume follows.
struct VolumeEnded {};
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
};
struct WriteImage {
  JobId id = 0;
};
struct LoadVolume {
  int sequence = 1;  // of the run's volumes, from 1
};
// The image being written gets no further volume: end it with ImageFailed or DumpFailed.
struct DenyVolume {
  std::string reason;
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

using Command = std::variant<StartDump, WriteImage, LoadVolume, DenyVolume, Degraded, TakeDegraded, GiveUp,
                             LeaveOnHolding, AbortDump, AbortWrite, NowWaits, FinishRun>;

// "the holding disks to have room": follows "waits for".
std::string_view text_of(Wait why);
// What of a dump's path such a wait is the fault of.
flow::Verdict verdict_of(Wait why);

// --- the machine
// --------------------------------------------------------------------------------------------

class Drive {
 public:
  explicit Drive(Limits limits) : limits_(limits) {}

  // Inputs that do not fit the job's state are a bug of the runner and end the process.
  std::vector<Command> on(const Input& input, const HoldingView& holding);

  bool finished() const { return finished_; }
  size_t running_dumps() const { return dumping_.size(); }
  // Whether held images are being written or will be: then holding space is going to come free by itself.
  bool will_free_space() const;
  // After SpaceWanted, until an image has been written.
  bool space_is_wanted() const { return space_wanted_; }

 private:
  enum class State { waiting, dumping, held, writing, ended };
  enum class Volume { none, loading, ready, gone };
  static constexpr size_t kTonight = SIZE_MAX;
  struct JobState {
    Job job;
    State state = State::waiting;
    journal::Destination to = journal::Destination::holding;
    int64_t attempts = 0;
    int64_t writes = 0;
    int64_t postponements = 0;
    size_t dumper = 0;                        // while dumping: which of the in_parallel it takes
    bool prefers_volume = false;              // did not fit on holding disk
    std::optional<uint64_t> refused_at = {};  // free_kib when holding had no room for it
    std::optional<Wait> waits = {};           // as last told
    std::string failure = {};
    uint64_t held_kib = 0;
    size_t run = kTonight;  // which run its image is of
  };

  void take(const Flush& input);
  void take(const Schedule& input);
  void take(const Released& input);
  void take(const HoldingRefused& input);
  void take(const DumpHeld& input);
  void take(const DumpWritten& input);
  void take(const DumpFailed& input);
  void take(const ImageWritten& input);
  void take(const ImageFailed& input);
  void take(const VolumeReady& input);
  void take(const NoVolume& input);
  void take(const VolumeEnded& input);
  void take(const SpaceFreed& input);
  void take(const SpaceWanted& input);
  void take(const ChangeLimits& input);
  void take(const Pause& input);
  void take(const Resume& input);
  void take(const Cancel& input);

  void schedule();
  void write_next();
  bool worth_a_volume() const;
  std::vector<JobId>::iterator next_image();
  uint64_t room_kib(bool of_all) const;
  bool nothing_comes() const;
  bool wants_volume_now() const;
  void start_dumps(bool retries);
  void start_preferred(bool retries);
  bool may_start(const JobState& it, bool retries) const;
  std::optional<size_t> idle_dumper() const;
  void begin_dump(JobState& it);
  bool end_what_cannot_start();
  std::optional<Wait> obstacle(const JobState& it) const;
  bool network_is_full(const Job& job) const;
  std::optional<Wait> start(JobState& it);
  bool fits_holding(const JobState& it) const;
  bool may_use_volume(const JobState& it) const;
  bool first_try_waits() const;
  bool obtain_volume();
  void lose_volume(const std::string& why);
  void degrade(journal::VolumeTrouble trouble, std::string reason);
  void degrade_fulls();
  void end(JobState& it);
  void give_up(JobState& it, std::string reason);
  void leave(JobState& it, std::string reason);
  void tell_wait(JobState& it, Wait why);
  JobState& job_in(JobId id, State state);
  void stop_dumping(JobState& it);

  template <class C>
  void say(C command) {
    commands_.emplace_back(std::move(command));
  }

  Limits limits_;
  std::map<JobId, JobState> jobs_;
  std::vector<JobId> order_;   // tonight's dumps as scheduled
  std::vector<JobId> images_;  // held and to be written, oldest first
  std::vector<JobId> dumping_;
  size_t ended_ = 0;
  bool scheduled_ = false;
  bool fulls_degraded_ = false;
  bool space_wanted_ = false;
  bool finished_ = false;
  std::optional<std::string> cancelled_;
  Volume volume_ = Volume::none;
  int loads_ = 0;
  uint64_t on_volume_kib_ = 0;   // written to the present one
  std::optional<JobId> writer_;  // what is being written: a held image or a direct dump
  std::string gone_reason_;
  HoldingView holding_;
  std::vector<Command> commands_;
};

}  // namespace headrace::drive
