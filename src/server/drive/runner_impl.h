// The runner's inside, shared by its sources: runner.cc (beginning, driving, ending), runner_dumps.cc,
// runner_volumes.cc, runner_pacing.cc (dumps held back for a drive) and runner_controls.cc (changes while it
// runs). Owned by Runner; loop thread. For nobody else.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "auth/connect.h"
#include "base/alive.h"
#include "journal/rates.h"
#include "server/drive/drive.h"
#include "server/drive/estimates.h"
#include "server/drive/flush_orders.h"
#include "server/drive/history.h"
#include "server/drive/holding_target.h"
#include "server/drive/image_write.h"
#include "server/drive/night.h"
#include "server/drive/pacer.h"
#include "server/drive/path_watch.h"
#include "server/drive/recorder.h"
#include "server/drive/runner.h"
#include "server/drive/together_meter.h"
#include "server/drive/volume_station.h"
#include "server/drive/volume_target.h"
#include "server/dump/dump.h"

namespace headrace::drive {

// Tries to write one held image, as Amanda's taper.
inline constexpr int64_t kWriteTries = 2;

// What the meters of something that moves say, and what was last told of them.
struct Watched {
  std::unique_ptr<PathWatch> watch = {};
  std::optional<flow::Judgement> judgement = {};  // of this moment; also while it waits
  std::string told_verdict = {};
  double told_confidence = 0;
  base::Instant told_at = {};

  void begin(PathShape shape);
  void end();
};

// An image on its way to one of the run's storages.
struct CopyInfo {
  bool wanted = false;  // held, and not there yet
  int64_t writes = 0;   // tries to write the held image
  size_t writer = 0;
  std::optional<std::pair<std::string, int64_t>> first_part = {};  // label and file number
  std::unique_ptr<ImageWrite> write = {};
  Watched watched = {};
};

// A dump of tonight, or an image of an earlier run, with all that works on it.
struct JobInfo {
  const config::DiskListEntry* disk = nullptr;  // null: a flush of a disk that is no longer listed
  journal::ImageId image;
  int attempt = 0;
  journal::Destination to = journal::Destination::holding;
  size_t writer = 0;  // while it is dumped to a volume
  // Of the finished dump, or read from the holding file: whole, with CRCs.
  wire::DumpHeader header;
  std::filesystem::path file;
  uint64_t stored_kib = 0;
  double dump_seconds = 0;
  hold::Reservation reservation;
  std::optional<uint64_t> holding_lane;        // of all its tries
  std::optional<plan::PlannedLevel> degraded;  // to be dumped instead when there is no volume
  bool full_elsewhere = false;                 // the operator says that it builds on a full made elsewhere
  bool earlier = false;                        // held by an earlier run
  bool stays = false;            // on holding disk, for a storage that does not get it in this run
  bool known_taped = false;      // its history names a volume of it
  std::vector<CopyInfo> copies;  // by the run's storages

  std::unique_ptr<HoldingTarget> holding_target;
  std::unique_ptr<VolumeTarget> volume_target;
  std::unique_ptr<dump::Dump> dump;
  std::unique_ptr<loop::Timer> timer;
  Watched watched;         // while it is dumped or waits
  bool held_back = false;  // while it is dumped: for a drive's speed (pacer.h)
};

// One of the storages that dumps of this run go to.
struct StorageInfo {
  const config::Storage* storage = nullptr;
  std::unique_ptr<VolumeStation> station;
  std::string no_station;  // why there is none
  size_t first_writer = 0;
};

class Runner::Impl : public VolumeDesk {
 public:
  Impl(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config, RunOptions options)
      : loop_(loop),
        connector_(connector),
        config_(config),
        options_(std::move(options)),
        space_(config.holding_disks) {}

  base::Result<> begin();
  void start(std::move_only_function<void(const journal::Body&)> watcher,
             std::move_only_function<void(int)> done);
  void cancel(std::string reason);
  const journal::RunState& state() const { return recorder_->state(); }
  const std::string& timestamp() const { return recorder_->timestamp(); }

  std::vector<DiskStand> disks() const;
  base::Result<std::vector<size_t>> select(const std::vector<std::string>& words, bool exact) const;
  PauseOutcome pause(size_t disk, const std::string& by);
  PauseOutcome resume(size_t disk, const std::string& by);
  std::vector<LimitInForce> limits() const;
  base::Result<std::vector<LimitInForce>> change_limits(const LimitChange& change);

  void next_volume(size_t writer, Answer answer) override;
  void part_ended(size_t writer, const volume::PartResult& part) override;

 private:
  void note(journal::Severity severity, std::string program, std::string text) {
    recorder_->record(journal::Note{std::move(program), severity, std::move(text)});
  }
  void estimated(HostOutcomes hosts);
  Limits drive_limits() const;
  std::vector<StorageLimits> storage_limits() const;
  void open_storages();
  JobInfo& add_job(JobId id);
  Storages selecting(const config::Dumptype& type, int level) const;
  void plan_flush(const hold::Image& image, const config::DiskListEntry* listed, bool run_died);
  void add_planned(const plan::Plan& plan);
  void record_planned(const config::DiskListEntry& disk, const plan::PlannedLevel& planned);
  std::vector<Job> jobs_of(const plan::Plan& plan);
  base::Duration until_start(const config::Dumptype& type) const;

  // Tonight's job of a disk; null before it is planned, or when it is not dumped.
  std::optional<JobId> job_of(size_t disk) const;
  DiskStand stand_of(size_t disk) const;
  bool holds(const std::string& by, const config::DiskListEntry& disk) const;
  bool is_paused(const config::DiskListEntry& disk) const;
  int64_t max_dumps_of(const config::DiskListEntry& disk) const;
  void begin_limits();
  bool names_disks(const LimitChange& change) const;
  void change_max_dumps(const std::vector<size_t>& disks, int64_t wanted, std::vector<LimitInForce>& changed);
  void change_rates(const LimitChange& change, const std::vector<size_t>& disks,
                    std::vector<LimitInForce>& changed);
  void set_limit(LimitInForce limit, int64_t& value, int64_t wanted, std::vector<LimitInForce>& changed);
  // What holds the rate of a disk's dump.
  flow::Throttle& throttle_of(const config::DiskListEntry& disk);

  void feed(const Input& input);
  HoldingView view() const;
  void obey(const Command& command);
  void start_dump(const StartDump& command);
  void dump_ended(JobId id, dump::DumpOutcome outcome);
  std::vector<std::string> wanting(const JobInfo& job) const;
  void want(JobInfo& job, const std::vector<std::string>& storages, bool by_autoflush = false);
  void left_on_holding(const LeaveOnHolding& left);
  void dump_good(JobId id, JobInfo& job, const dump::DumpOutcome& outcome);
  void direct_dump_failed(JobInfo& job, DumpFailed& failed);
  void postpone(JobId id, const wire::Retry& retry, DumpFailed& failed);
  void tell_who_goes_without(const JobInfo& job);
  void dump_bad(JobId id, JobInfo& job, dump::DumpOutcome outcome);
  void write_image(const WriteImage& command);
  void write_ended(JobId id, size_t storage, WriteOutcome outcome);
  void note_taped(JobInfo& job, const CopyInfo& copy);
  void image_safe(JobId id, size_t storage);
  void delete_image(JobId id, size_t storage);
  void find_volume(size_t storage);
  void load_volume(const LoadVolume& command);
  void hand_over_volume(const HandOverVolume& command);
  void deny_volume(const DenyVolume& command);
  void volume_over(size_t writer, const std::string& message);
  volume::PartOptions parts_of(const JobInfo& job, size_t storage) const;
  // Of one of the run's writers.
  size_t storage_of(size_t writer) const;
  const config::Storage& storage_at(size_t storage) const { return *storages_[storage].storage; }
  CopyInfo& copy_at(JobInfo& job, size_t writer) const { return job.copies[storage_of(writer)]; }
  // " of storage b" where the run has several.
  std::string of_storage(size_t storage) const;
  // Its station has it loaded; by the number of the run's writer.
  const LoadedVolume& volume_at(size_t writer) const;
  uint64_t lane_at(size_t writer) const;
  void settle_waiting();
  void sample_progress();
  void sample_together();
  void sample_dump(JobInfo& job);
  void sample_write(const JobInfo& job, size_t storage, CopyInfo& copy);
  void tell_verdict(const JobInfo& job, const std::string& storage, Watched& watched);
  void tell_wait(JobInfo& job, const NowWaits& waits);
  void tell_run_verdict();
  std::optional<size_t> holding_disk_of(const JobInfo& job) const;
  std::optional<Pacer::Writing> pace_of(const JobInfo& job, const CopyInfo& copy, int64_t lowest_kps) const;
  void pace();
  uint64_t own_kps(const JobInfo& job, bool full) const;
  MeasuredTogether known_together() const;
  void keep_rates();
  void finish();
  void finish_when_settled();

  loop::Loop& loop_;
  auth::Connector& connector_;
  const config::ServerConfig& config_;
  RunOptions options_;
  HoldingSpace space_;
  std::unique_ptr<Recorder> recorder_;
  std::vector<std::filesystem::path> claimed_;  // date directories on holding disks that are ours alone
  std::unique_ptr<History> history_;
  std::vector<StorageInfo> storages_;
  std::unique_ptr<FlushOrders> orders_;
  std::optional<Night> night_;
  std::optional<Answers> answers_;
  std::unique_ptr<Estimates> estimates_;
  HostOutcomes hosts_;
  journal::Rates known_rates_;     // of earlier runs
  journal::Rates measured_rates_;  // of this one
  std::optional<Drive> drive_;
  Pacer pacer_;
  TogetherMeter together_;
  bool told_of_no_use_ = false;
  bool feeding_ = false;
  std::vector<Input> inbox_;
  // By host and disk; a host's with an empty disk, the run's with an empty host. Those once made stay: dumps
  // use them.
  std::map<std::pair<std::string, std::string>, std::unique_ptr<flow::Throttle>> throttles_;
  std::map<JobId, JobInfo> jobs_;
  std::map<size_t, JobId> tonight_;  // jobs of tonight's disks
  JobId next_job_ = 1;
  std::vector<JobId> flushes_;
  std::optional<std::string> cancelled_;
  // In force. Of interfaces those that disks of this run use; of hosts those that were changed.
  int64_t in_parallel_ = 1;
  std::map<std::string, int64_t> interface_kps_;
  std::map<std::string, int64_t> host_max_dumps_;

  struct WriterInfo {
    size_t storage = 0;
    Answer answer;  // its image waits, in the middle, for the next volume
    std::optional<JobId> job;
    uint64_t bytes = 0;  // on its volume
    uint64_t files = 0;
  };
  std::vector<WriterInfo> writers_;

  base::Instant began_;
  std::unique_ptr<loop::Timer> progress_;
  std::string told_run_verdict_;
  base::Instant told_run_at_;
  std::move_only_function<void(int)> done_;
  base::Alive alive_;
};

}  // namespace headrace::drive
