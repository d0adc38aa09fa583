// What a run does next: a pure state machine, fed with what happened, answering with what to do. No clock, no
// file, no callback: the runner (runner.h) carries the commands out and reports back. Owned by the runner.
//
// One job, a dump of tonight or an image of an earlier run:
//
//            Schedule              start (limits, space)        DumpHeld                 write
//   (dump) ───────────▶ waiting ───────────────▶ dumping ───────────────▶ held ◀──────────────▶ writing
//   Flush ────────────────────────────────────────────────────────────────▶│   failed, tries left │
//                        ▲ │ ▲                    │ │ DumpWritten           │                     │
//                        ImageWritten on the last of its storages
//             Released   │ │ └─ failed, tries left┘ └──────────────▶ ended ◀─┴─ left on holding ───┘
//                 postponed└─ given up ────────────────────────────▶   │
//                                                      all ended ─▶ FinishRun
//
// The storages: each has its writers and volumes, and its own queue of the held images that select it; a held
// image is written to each of these, also at once, and has ended when each has it or left it. A dump that
// goes straight to a volume goes to the first of its storages that can take it; the others do not get it
// (Amanda's rule). Each storage is degraded by itself: a full that selects one that is gets `reserve`'s rule.
// Writers are numbered over all storages, those of the first from 0.
//
// The volumes: one to each of a storage's writers (writers.h), of which a held image, or a dump that goes
// straight to a volume, takes any that is idle. While any has a volume, or can get one, the storage is not
// degraded; one that cannot go on gives up its image, which takes another writer. Amanda's rules say when a
// further volume is begun: for dumps that go straight to a volume, when room on holding disk is short, when
// more is held than the volumes begun have room for, by the thresholds, and when more dumps are held than
// these take. Where they leave it open:
//   - Held images leave one of several writers to dumps that can only go straight to a volume, so that these
//     do not wait until the night's last image.
//   - A writer whose image comes to its volume's end takes over the volume of an idle one before a further
//     one is loaded, as this spares a volume; and with runtapes used up it need not fail.
//   - Beside others that write, an image goes only where it fits; one that fits nowhere waits until no other
//     writes.
//   - A dump counts on each volume that has a part of it, also when it failed. A volume with as many as it
//   may
//     take is ended at once; with it began the writing, so what is held then goes on to the next one.
//   - That a volume gave out in the middle of an image is not the image's fault: no try is counted.
//
// The first volume is looked for as the run begins: with `reserve` no dump starts before that has an answer,
// so that without a volume the first full, too, keeps to it.
//
// Every job ends exactly once: with the input DumpWritten, with the command GiveUp, or with the last of the
// inputs ImageWritten and commands LeaveOnHolding that come, once for each of its storages, for a held image.
// One that no storage selects is held, and left. FinishRun comes exactly once, last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/drive/drive_messages.h"
#include "server/drive/writers.h"

namespace headrace::drive {

class Drive {
 public:
  Drive(Limits limits, const std::vector<StorageLimits>& storages);

  // Inputs that do not fit the job's state are a bug of the runner and end the process.
  std::vector<Command> on(const Input& input, const HoldingView& holding);

  bool finished() const { return finished_; }
  size_t running_dumps() const { return dumping_.size(); }
  // Whether held images are on their way to all storages they are for: then holding space is going to come
  // free by itself.
  bool will_free_space() const;
  // After SpaceWanted, until an image has been written.
  bool space_is_wanted() const { return space_wanted_; }

 private:
  enum class State { waiting, dumping, held, ended };
  using Volume = Writers::Volume;
  static constexpr size_t kTonight = SIZE_MAX;
  // A held image on its way to one storage.
  struct Copy {
    enum class State { unwanted, queued, writing, ended };
    State state = State::unwanted;
    int64_t writes = 0;
    std::optional<Wait> waits = {};  // as last told
  };
  struct JobState {
    Job job;
    State state = State::waiting;
    journal::Destination to = journal::Destination::holding;
    int64_t attempts = 0;
    int64_t postponements = 0;
    size_t dumper = 0;                        // while dumping: which of the in_parallel it takes
    bool prefers_volume = false;              // did not fit on holding disk
    std::optional<uint64_t> refused_at = {};  // free_kib when holding had no room for it
    std::optional<Wait> waits = {};           // as last told
    std::string failure = {};
    uint64_t held_kib = 0;
    std::vector<Copy> copies = {};  // while held: by storage
    bool stays = false;             // left on holding disk for some storage
    size_t run = kTonight;          // which run its image is of
  };
  enum class Look { never, going_on, done };
  struct Store {
    Store(size_t number, size_t first, const StorageLimits& of)
        : storage(number), first_writer(first), limits(of), writers(of) {}
    size_t storage;
    size_t first_writer;
    StorageLimits limits;
    Writers writers;
    std::vector<JobId> images = {};  // held and to be written, oldest first
    size_t claimed = 0;  // of the idle writers whose volume is being loaded, by those looked at so far
    bool gone = false;   // degraded
    std::string gone_reason = {};
    bool fulls_degraded = false;
    Look look = Look::never;  // for the first volume
  };

  void take(const LookForVolume& input);
  void take(const VolumeSought& input);
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
  void write_next(Store& store);
  void write_on_ready(Store& store);
  void wait_or_leave(Store& store);
  void retire_volumes(Store& store);
  void begin_write(Store& store, std::vector<JobId>::iterator image, size_t writer);
  bool worth_a_volume(const Store& store) const;
  bool direct_dump_waits(const Store& store) const;
  bool images_may_take_writer(const Store& store) const;
  std::vector<JobId>::iterator next_image(Store& store, size_t writer);
  bool nothing_comes(const Store& store) const;
  static bool selects(const Store& store, const JobState& it);
  bool is_wanted(const Store& store) const;
  bool gone_for(const JobState& it) const;
  std::string why_gone(const JobState& it) const;
  // The storage of one of the run's writers, and its number there.
  std::pair<Store&, size_t> place_of(size_t writer);
  bool any_loading() const;
  bool looks() const;
  bool could_start(const JobState& it) const;
  bool room_is_short() const;
  void start_dumps(bool retries);
  void start_preferred(bool retries);
  bool finishes_soonest() const;
  void order_starts();
  bool may_start(const JobState& it, bool retries) const;
  static std::optional<Wait> own_wait(const JobState& it);
  bool dumps_wait_for_look();
  std::optional<size_t> idle_dumper() const;
  void begin_dump(JobState& it, size_t writer);
  bool end_what_cannot_start();
  std::optional<Wait> obstacle(const JobState& it) const;
  bool network_is_full(const Job& job) const;
  std::optional<Wait> start(JobState& it);
  bool fits_holding(const JobState& it) const;
  bool may_use_volume(const JobState& it) const;
  bool first_try_waits() const;
  static std::optional<size_t> writer_for(const Store& store, const JobState& it);
  std::optional<Wait> start_on_volume(JobState& it);
  enum class Coming { yes, no, never };
  Coming claim_volume(Store& store);
  void go_on(Store& store, size_t writer);
  void stop_writing(Store& store, JobId id, bool written, bool volume_lost, const std::string& why);
  void stop_direct(JobId id, bool written, bool volume_lost, const std::string& why);
  void lose_volume(Store& store, size_t writer, const std::string& why);
  void degrade(Store& store, journal::VolumeTrouble trouble, std::string reason);
  void degrade_when_known(Store& store);
  bool degrade_fulls(Store& store);
  void hold(JobState& it, const Storages& storages);
  void end(JobState& it);
  void end_copy(JobState& it, const Store& store);
  void give_up(JobState& it, std::string reason, Lost why);
  void leave(JobState& it, const Store& store, std::string reason, Left why);
  void leave_all(Store& store, const std::string& reason, Left why);
  Way way_of(const JobState& it) const;
  void tell_wait(JobState& it, Wait why);
  void tell_wait(const Store& store, JobState& it, Wait why);
  JobState& job_in(JobId id, State state);
  void stop_dumping(JobState& it);

  template <class C>
  void say(C command) {
    commands_.emplace_back(std::move(command));
  }

  Limits limits_;
  std::map<JobId, JobState> jobs_;
  std::vector<JobId> order_;            // tonight's dumps as scheduled
  std::vector<JobId> start_order_;      // the same, as they start; what has ended may be missing
  std::optional<size_t> ordered_ = {};  // when that was put in order: so many waited
  std::vector<JobId> dumping_;
  size_t ended_ = 0;
  bool scheduled_ = false;
  bool space_wanted_ = false;
  bool finished_ = false;
  std::optional<std::string> cancelled_;
  std::vector<Store> stores_;
  HoldingView holding_;
  std::vector<Command> commands_;
};

}  // namespace headrace::drive
