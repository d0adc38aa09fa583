#include "server/drive/runner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/quote.h"
#include "compat/curinfo.h"
#include "server/drive/drive.h"
#include "server/drive/history.h"
#include "server/drive/holding_target.h"
#include "server/drive/image_write.h"
#include "server/drive/leftovers.h"
#include "server/drive/night.h"
#include "server/drive/recorder.h"
#include "server/drive/volume_station.h"
#include "server/drive/volume_target.h"
#include "server/dump/dle_of.h"
#include "server/dump/dump.h"
#include "server/dump/peer_of.h"
#include "server/hold/date_directory.h"

namespace headrace::drive {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

constexpr auto kProgressEvery = std::chrono::seconds(1);
// How long a client may take to answer a request for a dump, as Amanda's dumper waits.
constexpr auto kDumpReplyTimeout = std::chrono::seconds(60);
// Tries to write one held image, as Amanda's taper.
constexpr int64_t kWriteTries = 2;
// How long a client that asks to be called later is left alone.
constexpr auto kLeastDelay = std::chrono::seconds(1);
constexpr auto kMostDelay = std::chrono::hours(12) / std::chrono::seconds(1) * std::chrono::seconds(1);
// Client messages that go into journal and log.
constexpr size_t kMaxMessages = 200;

// A dump of tonight, or an image of an earlier run, with all that works on it.
struct JobInfo {
  const config::DiskListEntry* disk = nullptr;  // null: a flush of a disk that is no longer listed
  journal::ImageId image;
  int attempt = 0;
  int64_t writes = 0;  // tries to write the held image
  journal::Destination to = journal::Destination::holding;
  // Of the finished dump, or read from the holding file: whole, with CRCs.
  wire::DumpHeader header;
  std::filesystem::path file;
  uint64_t stored_kib = 0;
  double dump_seconds = 0;
  hold::Reservation reservation;
  bool earlier = false;                                       // held by an earlier run
  std::optional<std::pair<std::string, int64_t>> first_part;  // label and file number

  std::unique_ptr<HoldingTarget> holding_target;
  std::unique_ptr<VolumeTarget> volume_target;
  std::unique_ptr<dump::Dump> dump;
  std::unique_ptr<ImageWrite> write;
  std::unique_ptr<loop::Timer> timer;
};

journal::Joint joint_of(std::string name, const flow::Meter& meter) {
  const auto snapshot = meter.snapshot();
  auto ms = [](base::Duration d) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
  };
  return {std::move(name), snapshot.bytes, ms(snapshot.starved), ms(snapshot.blocked), ms(snapshot.gated)};
}

}  // namespace

class Runner::Impl : public VolumeDesk {
 public:
  Impl(loop::Loop& loop, const config::ServerConfig& config, RunOptions options)
      : loop_(loop), config_(config), options_(std::move(options)), space_(config.holding_disks) {}

  Result<> begin();
  void start(std::move_only_function<void(const journal::Body&)> watcher,
             std::move_only_function<void(int)> done);
  void cancel(std::string reason);
  const journal::RunState& state() const { return recorder_->state(); }

  void next_volume(Answer answer) override;
  void part_ended(JobId job, const volume::PartResult& part) override;

 private:
  void note(journal::Severity severity, std::string program, std::string text) {
    recorder_->record(journal::Note{std::move(program), severity, std::move(text)});
  }
  void found_images();
  void estimated(HostOutcomes hosts);
  void add_planned(const plan::Plan& plan);
  std::vector<Job> jobs_of(const plan::Plan& plan);
  base::Duration until_start(const config::Dumptype& type) const;

  void feed(const Input& input);
  HoldingView view() const;
  void obey(const Command& command);
  void start_dump(const StartDump& command);
  void dump_ended(JobId id, dump::DumpOutcome outcome);
  void dump_good(JobId id, JobInfo& job, const dump::DumpOutcome& outcome);
  void direct_dump_failed(JobInfo& job, DumpFailed& failed);
  void postpone(JobId id, const wire::Retry& retry, DumpFailed& failed);
  void dump_bad(JobId id, JobInfo& job, dump::DumpOutcome outcome);
  void write_image(JobId id);
  void write_ended(JobId id, WriteOutcome outcome);
  void image_safe(JobId id, JobInfo& job);
  void load_volume(int sequence);
  void volume_over(const std::string& message);
  volume::PartOptions parts_of(const JobInfo& job) const;
  void settle_waiting();
  void sample_progress();
  void finish();

  loop::Loop& loop_;
  const config::ServerConfig& config_;
  RunOptions options_;
  HoldingSpace space_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<History> history_;
  std::unique_ptr<VolumeStation> station_;
  std::string no_station_;
  std::optional<Night> night_;
  std::optional<Answers> answers_;
  std::unique_ptr<Estimates> estimates_;
  HostOutcomes hosts_;
  std::optional<Drive> drive_;
  bool feeding_ = false;
  std::vector<Input> inbox_;
  std::map<JobId, JobInfo> jobs_;
  JobId next_job_ = 1;
  std::vector<JobId> flushes_;
  std::optional<std::string> cancelled_;

  Answer volume_answer_;  // a writer in the middle of an image waits for the next volume
  uint64_t volume_bytes_ = 0;
  uint64_t volume_files_ = 0;

  base::Instant began_;
  std::unique_ptr<loop::Timer> progress_;
  std::map<JobId, uint64_t> sampled_;
  std::move_only_function<void(int)> done_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with this, for deferred calls
};

// ---- the beginning ----

Result<> Runner::Impl::begin() {
  began_ = loop_.clock().now();
  // Before our own journal: the newest one is then that of the run before.
  auto leftovers = find_leftovers(config_);
  auto recorder = Recorder::create(config_, loop_.clock());
  if (!recorder) return std::unexpected(std::move(recorder).error());
  recorder_ = std::move(*recorder);
  std::array<char, 256> hostname{};
  ::gethostname(hostname.data(), hostname.size() - 1);
  recorder_->record(journal::RunStarted{config_.name, config_.globals.org, recorder_->timestamp(),
                                        hostname.data(), ::getpid(), HEADRACE_VERSION,
                                        journal::RunKind::dump});
  for (auto& leftover : leftovers.found) recorder_->record(leftover);
  for (auto& problem : space_.disks().measure(hold::statvfs_free_kib)) {
    note(journal::Severity::warning, "driver", std::move(problem));
  }
  for (const auto& disk : config_.holding_disks) {
    if (auto claimed = hold::claim(disk.directory / recorder_->timestamp()); !claimed) {
      note(journal::Severity::warning, "driver", claimed.error().what());
    }
  }
  auto station = VolumeStation::open(loop_, config_, recorder_->timestamp());
  if (station) {
    station_ = std::move(*station);
  } else {
    no_station_ = station.error().what();
  }
  history_ = std::make_unique<History>(loop_, config_.globals.infofile, [this](const Error& error) {
    note(journal::Severity::warning, "planner", error.what());
  });
  night_ =
      begin_night(config_, std::move(options_.disks), recorder_->timestamp(), space_.disks().total_kib());
  answers_.emplace(*night_);
  for (const auto& warning : night_->warnings) note(journal::Severity::warning, "planner", warning);
  for (auto& image : leftovers.to_flush) {
    const auto listed = std::ranges::find_if(night_->disks, [&](const auto& disk) {
      return disk.host == image.header.host && disk.disk == image.header.disk;
    });
    if (options_.selected && listed == night_->disks.end() &&
        config_.first_storage().autoflush != config::Autoflush::all) {
      continue;
    }
    const JobId id = next_job_++;
    JobInfo& job = jobs_[id];
    if (listed != night_->disks.end()) job.disk = &*listed;
    job.earlier = true;
    job.image = {image.header.host, image.header.disk, image.header.timestamp, image.header.level};
    job.header = image.header;
    job.file = image.file;
    job.stored_kib = base::to_kib(image.data_bytes);
    recorder_->record(journal::FlushPlanned{job.image, job.file, job.stored_kib});
    flushes_.push_back(id);
  }
  return {};
}

void Runner::Impl::start(std::move_only_function<void(const journal::Body&)> watcher,
                         std::move_only_function<void(int)> done) {
  done_ = std::move(done);
  recorder_->watch(std::move(watcher));
  drive_.emplace(Limits{config_.globals.inparallel, config_.first_storage().runtapes, kWriteTries});
  for (size_t i = 0; i < night_->disks.size(); ++i) {
    if (night_->decisions[i].fate == plan::Fate::left_out) continue;
    recorder_->record(journal::DleChosen{night_->disks[i].host, night_->disks[i].disk});
  }
  if (!flushes_.empty()) feed(Flush{flushes_});
  sample_progress();
  estimates_ = std::make_unique<Estimates>(loop_, config_, recorder_->timestamp(), wishes_of(*night_));
  estimates_->start(
      [this](const EstimateAnswer& answer) {
        answers_->take(answer);
        recorder_->record(journal::EstimateGot{answer.host, answer.disk, answer.level, answer.kib, "client"});
        if (!answer.warning.empty()) {
          note(journal::Severity::warning, "planner",
               fmt::format("{} {}: {}", answer.host, base::quote(answer.disk), answer.warning));
        }
      },
      [this](HostOutcomes hosts) { estimated(std::move(hosts)); });
}

void Runner::Impl::estimated(HostOutcomes hosts) {
  hosts_ = std::move(hosts);
  answers_->take(hosts_);
  const auto plan = plan::make_plan(night_->inputs, answers_->answers());
  add_planned(plan);
  if (cancelled_) return;
  feed(Schedule{jobs_of(plan)});
}

void Runner::Impl::add_planned(const plan::Plan& plan) {
  const std::string& stamp = recorder_->timestamp();
  auto image = [&](size_t dle, int level) {
    return journal::ImageId{night_->disks[dle].host, night_->disks[dle].disk, stamp, level};
  };
  for (const auto& line : plan.notes) {
    note(line.warning ? journal::Severity::warning : journal::Severity::info, "planner", line.text);
  }
  for (const auto& skipped : plan.skipped) {
    recorder_->record(journal::DleSkipped{image(skipped.dle, skipped.level), skipped.reason});
  }
  for (const auto& failed : plan.failed) {
    recorder_->record(journal::PlanFailed{image(failed.dle, failed.level), failed.reason});
  }
  for (const auto& dump : plan.dumps) {
    recorder_->record(journal::DlePlanned{image(dump.dle, dump.level), dump.reason.sentence(),
                                          dump.native_kib, dump.stored_kib, dump.kps});
  }
  const double seconds = std::chrono::duration<double>(loop_.clock().now() - began_).count();
  recorder_->record(journal::PlanDone{seconds});
}

std::vector<Job> Runner::Impl::jobs_of(const plan::Plan& plan) {
  std::vector<Job> jobs;
  for (const auto& planned : plan.dumps) {
    const JobId id = next_job_++;
    JobInfo& info = jobs_[id];
    info.disk = &night_->disks[planned.dle];
    info.image = {info.disk->host, info.disk->disk, recorder_->timestamp(), planned.level};
    const auto& type = info.disk->dumptype;
    Job job;
    job.id = id;
    job.host = info.disk->host;
    job.est_stored_kib = planned.stored_kib;
    job.max_dumps = type.maxdumps;
    job.spindle = info.disk->spindle;
    job.holding = type.holdingdisk;
    job.tries = type.retry_dump;
    if (const auto wait = until_start(type); wait > base::Duration::zero()) {
      job.postponed = true;
      info.timer = loop_.after(wait, [this, id] { feed(Released{id}); });
    }
    jobs.push_back(std::move(job));
  }
  return jobs;
}

// A start time more than half a day in the past is tomorrow's.
base::Duration Runner::Impl::until_start(const config::Dumptype& type) const {
  if (!type.has_starttime) return {};
  const std::string now = base::timestamp14(loop_.clock().wall_seconds());
  const int now_seconds =
      std::stoi(now.substr(8, 2)) * 3600 + std::stoi(now.substr(10, 2)) * 60 + std::stoi(now.substr(12, 2));
  auto wait = std::chrono::seconds(type.starttime) - std::chrono::seconds(now_seconds);
  if (wait < -std::chrono::hours(12)) wait += std::chrono::hours(24);
  return wait;
}

// ---- driving ----

HoldingView Runner::Impl::view() const {
  auto& space = const_cast<HoldingSpace&>(space_);
  return {space.disks().total_kib(), space.disks().free_kib()};
}

// Commands may lead to further inputs at once; these wait until all commands of the first are carried out.
void Runner::Impl::feed(const Input& input) {
  inbox_.push_back(input);
  if (feeding_) return;
  feeding_ = true;
  while (!inbox_.empty()) {
    const Input next = std::move(inbox_.front());
    inbox_.erase(inbox_.begin());
    for (const auto& command : drive_->on(next, view())) obey(command);
  }
  feeding_ = false;
  settle_waiting();
}

void Runner::Impl::obey(const Command& command) {
  if (const auto* start = std::get_if<StartDump>(&command)) return start_dump(*start);
  if (const auto* write = std::get_if<WriteImage>(&command)) return write_image(write->id);
  if (const auto* load = std::get_if<LoadVolume>(&command)) return load_volume(load->sequence);
  if (const auto* deny = std::get_if<DenyVolume>(&command)) {
    if (volume_answer_) std::exchange(volume_answer_, nullptr)(base::fail(ErrorKind::full, deny->reason));
    return;
  }
  if (const auto* degraded = std::get_if<Degraded>(&command)) {
    return recorder_->record(journal::NoVolume{degraded->trouble, degraded->reason});
  }
  if (const auto* given_up = std::get_if<GiveUp>(&command)) {
    return recorder_->record(journal::DumpGivenUp{jobs_.at(given_up->id).image, given_up->reason});
  }
  if (const auto* leave = std::get_if<LeaveOnHolding>(&command)) {
    const JobInfo& job = jobs_.at(leave->id);
    return recorder_->record(journal::ImageLeftOnHolding{job.image, job.file, job.stored_kib, leave->reason});
  }
  if (const auto* abort = std::get_if<AbortDump>(&command)) {
    // An image that is complete is a good one: it ends by itself.
    const auto& dump = jobs_.at(abort->id).dump;
    if (!dump || dump->image_safe()) return;
    dump::DumpOutcome outcome;
    outcome.result = base::fail(ErrorKind::cancelled, "given up on request");
    // Later: commands are being carried out.
    loop_.post([this, alive = std::weak_ptr(alive_), id = abort->id, outcome = std::move(outcome)]() mutable {
      if (alive.expired()) return;
      const auto& aborted = jobs_.at(id).dump;
      if (aborted && !aborted->image_safe()) dump_ended(id, std::move(outcome));
    });
    return;
  }
  if (const auto* abort = std::get_if<AbortWrite>(&command)) {
    if (auto& write = jobs_.at(abort->id).write) write->abort();
    return;
  }
  if (const auto* waits = std::get_if<NowWaits>(&command)) {
    return recorder_->record(journal::Waiting{jobs_.at(waits->id).image, std::string(text_of(waits->why))});
  }
  finish();
}

void Runner::Impl::start_dump(const StartDump& command) {
  const JobId id = command.id;
  JobInfo& job = jobs_.at(id);
  auto peer = dump::peer_of(config_, *job.disk);
  if (!peer) return feed(DumpFailed{id, DumpFailed::Kind::refused, peer.error().what(), false});
  job.attempt = command.attempt;
  job.to = command.to;
  dump::Target* target = nullptr;
  if (command.to == journal::Destination::holding) {
    const auto planned =
        std::ranges::find_if(state().dumps, [&](const auto& d) { return d.image == job.image; });
    const uint64_t estimate = planned == state().dumps.end() ? 0 : planned->est_stored_kib;
    auto reservation = space_.disks().reserve(std::max(estimate, hold::kLeastKib));
    if (!reservation) return feed(HoldingRefused{id});
    job.holding_target = std::make_unique<HoldingTarget>(
        loop_, space_, std::move(*reservation), recorder_->timestamp(), [this] { settle_waiting(); });
    target = job.holding_target.get();
  } else {
    job.volume_target = std::make_unique<VolumeTarget>(loop_, *this, id, station_->current(), parts_of(job),
                                                       station_->lane());
    target = job.volume_target.get();
    recorder_->record(journal::ImageWriteStarted{job.image, config_.first_storage().name,
                                                 config_.first_storage().tapepool});
  }
  recorder_->record(journal::DumpStarted{job.image, job.attempt, job.to, {}});

  dump::DumpRequest request;
  request.peer = std::move(*peer);
  request.host = job.disk->host;
  request.dle = dump::dle_of(*job.disk);
  request.dle.levels = {{job.image.level, false, {}}};
  request.timestamp = job.image.timestamp;
  request.config = config_.name;
  request.dump_user = config_.globals.dumpuser;
  request.client_features = hosts_[{job.disk->host, job.disk->disk}].features;
  request.times = dump::times_of(config_, kDumpReplyTimeout);
  request.data_timeout = config_.globals.dtimeout;
  request.index = {config_.globals.indexdir, job.image.host, job.image.disk, job.image.timestamp,
                   job.image.level};
  request.index_form = {config_.globals.compress_index, config_.globals.sort_index};
  request.max_messages = kMaxMessages;
  job.dump = std::make_unique<dump::Dump>(loop_, std::move(request), *target);
  job.dump->start([this, id](dump::DumpOutcome outcome) { dump_ended(id, std::move(outcome)); });
}

void Runner::Impl::dump_ended(JobId id, dump::DumpOutcome outcome) {
  JobInfo& job = jobs_.at(id);
  // The dump may be what called us.
  auto spent = std::make_shared<std::unique_ptr<dump::Dump>>(std::move(job.dump));
  sampled_.erase(id);
  if (outcome.result.has_value()) {
    dump_good(id, job, outcome);
  } else {
    spent->reset();
    dump_bad(id, job, std::move(outcome));
  }
  loop_.post([spent] { spent->reset(); });
}

void Runner::Impl::dump_good(JobId id, JobInfo& job, const dump::DumpOutcome& outcome) {
  job.header = outcome.header;
  job.stored_kib = base::to_kib(outcome.stored_bytes);
  job.dump_seconds = outcome.seconds;
  journal::DumpFinished finished;
  finished.image = job.image;
  finished.attempt = job.attempt;
  finished.native_kib = outcome.native_kib;
  finished.stored_kib = job.stored_kib;
  finished.seconds = outcome.seconds;
  finished.native_crc = outcome.native_crc;
  finished.client_crc = outcome.client_crc;
  finished.server_crc = outcome.server_crc;
  finished.strange = outcome.strange;
  finished.messages = outcome.messages;
  recorder_->record(finished);
  history_->dumped(job.image, {job.image.level, static_cast<int64_t>(outcome.native_kib),
                               static_cast<int64_t>(job.stored_kib), outcome.seconds,
                               base::unix_of_timestamp(job.image.timestamp),
                               job.disk->dumptype.compress != config::Compress::none});
  if (job.to == journal::Destination::holding) {
    job.file = job.holding_target->file();
    job.reservation = job.holding_target->take_reservation();
    recorder_->record(
        journal::ImageHeld{job.image, job.file, job.stored_kib, outcome.seconds, outcome.server_crc});
    return feed(DumpHeld{id});
  }
  WriteOutcome written;
  written.parts = job.volume_target->parts();
  written.bytes = outcome.stored_bytes;
  written.seconds = outcome.seconds;
  const auto& storage = config_.first_storage();
  recorder_->record(journal::ImageWritten{
      job.image, storage.name, storage.tapepool, written.parts, written.bytes, written.seconds,
      job.header.orig_size_kib, job.header.native_crc, job.header.client_crc, job.header.server_crc});
  if (job.first_part) history_->taped(job.image, job.first_part->first, job.first_part->second);
  feed(DumpWritten{id});
}

void Runner::Impl::dump_bad(JobId id, JobInfo& job, dump::DumpOutcome outcome) {
  const Error error = outcome.result.error();
  DumpFailed failed{id, DumpFailed::Kind::failed, error.what(), false};
  if (error.kind() == ErrorKind::refused) failed.kind = DumpFailed::Kind::refused;
  if (error.kind() == ErrorKind::full && job.to == journal::Destination::holding) {
    failed.kind = DumpFailed::Kind::no_space;
  }
  if (job.volume_target) direct_dump_failed(job, failed);
  if (outcome.retry && !cancelled_) postpone(id, *outcome.retry, failed);
  job.holding_target.reset();
  job.volume_target.reset();
  job.first_part.reset();
  const int64_t tries = job.disk->dumptype.retry_dump;
  const bool again = failed.kind == DumpFailed::Kind::postpone ||
                     (failed.kind != DumpFailed::Kind::refused && job.attempt < tries && !cancelled_);
  recorder_->record(
      journal::DumpFailed{job.image, job.attempt, error.what(), std::move(outcome.messages), again});
  feed(failed);
}

// What it left on volumes belongs to no image, and a volume that failed is not used again.
void Runner::Impl::direct_dump_failed(JobInfo& job, DumpFailed& failed) {
  if (job.volume_target->volume_failed()) {
    // The dump itself may go well on another volume.
    failed.kind = DumpFailed::Kind::failed;
    failed.volume_lost = true;
    if (station_->loaded()) volume_over(failed.message);
  }
  if (!failed.volume_lost && !job.first_part) return;
  const auto& storage = config_.first_storage();
  recorder_->record(journal::ImageWriteFailed{job.image, storage.name, storage.tapepool,
                                              job.first_part.has_value(), job.volume_target->parts(), 0, 0,
                                              failed.message, false});
}

// The client asks to be called again later, perhaps for another level.
void Runner::Impl::postpone(JobId id, const wire::Retry& retry, DumpFailed& failed) {
  JobInfo& job = jobs_.at(id);
  failed.kind = DumpFailed::Kind::postpone;
  if (retry.level >= 0 && retry.level <= compat::kMaxDumpLevel) job.image.level = retry.level;
  const auto delay = std::clamp<int64_t>(retry.delay_seconds, kLeastDelay.count(), kMostDelay.count());
  job.timer = loop_.after(std::chrono::seconds(delay), [this, id] { feed(Released{id}); });
}

// ---- writing to volumes ----

volume::PartOptions Runner::Impl::parts_of(const JobInfo& job) const {
  const config::Dumptype defaults;
  return volume::part_options(config_.first_storage().tapetype,
                              job.disk != nullptr ? job.disk->dumptype : defaults);
}

void Runner::Impl::write_image(JobId id) {
  JobInfo& job = jobs_.at(id);
  ++job.writes;
  recorder_->record(
      journal::ImageWriteStarted{job.image, config_.first_storage().name, config_.first_storage().tapepool});
  job.write =
      std::make_unique<ImageWrite>(loop_, *this, id, job.file, job.header, parts_of(job), station_->lane());
  job.write->start(station_->current(),
                   [this, id](WriteOutcome outcome) { write_ended(id, std::move(outcome)); });
}

void Runner::Impl::part_ended(JobId id, const volume::PartResult& part) {
  JobInfo& job = jobs_.at(id);
  const auto& storage = config_.first_storage();
  const double seconds = std::chrono::duration<double>(part.duration).count();
  volume_bytes_ += part.bytes;
  ++volume_files_;
  if (!part.good) {
    return recorder_->record(journal::PartFailed{job.image, storage.name, storage.tapepool, part.label,
                                                 static_cast<uint64_t>(part.file), part.part, part.bytes,
                                                 seconds, part.why});
  }
  if (!job.first_part) job.first_part = {part.label, part.file};
  recorder_->record(journal::PartWritten{job.image, storage.name, storage.tapepool, part.label,
                                         static_cast<uint64_t>(part.file), part.part, -1, part.bytes, seconds,
                                         job.header.orig_size_kib});
}

void Runner::Impl::write_ended(JobId id, WriteOutcome outcome) {
  JobInfo& job = jobs_.at(id);
  auto spent = std::make_shared<std::unique_ptr<ImageWrite>>(std::move(job.write));
  loop_.post([spent] { spent->reset(); });
  const auto& storage = config_.first_storage();
  if (!outcome.result) {
    if (outcome.volume_lost && station_->loaded()) volume_over(outcome.result.error().what());
    const bool again = !outcome.unreadable && job.writes < kWriteTries && !cancelled_;
    recorder_->record(journal::ImageWriteFailed{job.image, storage.name, storage.tapepool,
                                                job.first_part.has_value(), outcome.parts, outcome.bytes,
                                                outcome.seconds, outcome.result.error().what(), again});
    job.first_part.reset();
    return feed(ImageFailed{id, outcome.result.error().what(), outcome.volume_lost, outcome.unreadable});
  }
  recorder_->record(journal::ImageWritten{job.image, storage.name, storage.tapepool, outcome.parts,
                                          outcome.bytes, outcome.seconds, job.header.orig_size_kib,
                                          job.header.native_crc, job.header.client_crc, outcome.crc});
  image_safe(id, job);
}

// The image is on volumes: now, and only now, its holding files may go.
void Runner::Impl::image_safe(JobId id, JobInfo& job) {
  if (job.first_part) history_->taped(job.image, job.first_part->first, job.first_part->second);
  if (!recorder_->failure().empty()) {
    // A volume of which no log speaks is no copy.
    note(journal::Severity::warning, "driver",
         fmt::format("{} is kept, since the log of its writing is incomplete", job.file.native()));
    return feed(ImageWritten{id});
  }
  auto outcome = std::make_shared<Result<>>();
  loop_.offload(
      loop_.new_lane(),
      [file = job.file, outcome] {
        auto image = hold::read_image(file);
        *outcome = image ? hold::delete_image(*image) : Result<>(std::unexpected(image.error()));
      },
      [this, alive = std::weak_ptr(alive_), id, outcome] {
        if (alive.expired()) return;
        JobInfo& written = jobs_.at(id);
        if (!*outcome) {
          note(journal::Severity::warning, "driver",
               fmt::format("{} is on volume and could not be deleted: {}", written.file.native(),
                           outcome->error().what()));
        } else if (written.earlier) {
          space_.disks().freed(written.file, written.stored_kib);
        } else {
          space_.disks().release(written.reservation);
        }
        space_.freed();
        feed(ImageWritten{id});
        if (!drive_->finished()) feed(SpaceFreed{});
      });
}

void Runner::Impl::load_volume(int sequence) {
  if (!station_) return feed(drive::NoVolume{no_station_});
  station_->load([this, sequence](VolumeStation::Loading loading) {
    for (auto& line : loading.notes) note(journal::Severity::info, "taper", std::move(line));
    if (!loading.volume) {
      const std::string reason = loading.volume.error().what();
      feed(drive::NoVolume{reason});
      if (volume_answer_) std::exchange(volume_answer_, nullptr)(base::fail(ErrorKind::full, reason));
      return;
    }
    const auto& storage = config_.first_storage();
    volume_bytes_ = 0;
    volume_files_ = 0;
    recorder_->record(journal::VolumeStarted{
        loading.volume->label, loading.volume->slot, sequence, storage.name, storage.tapepool,
        recorder_->timestamp(), static_cast<uint64_t>(std::max<int64_t>(storage.tapetype.length_kib, 0))});
    if (volume_answer_) std::exchange(volume_answer_, nullptr)(station_->current());
    feed(VolumeReady{});
  });
}

void Runner::Impl::volume_over(const std::string& message) {
  recorder_->record(journal::VolumeFinished{station_->current().label, base::to_kib(volume_bytes_),
                                            volume_files_, message});
  station_->unload();
}

void Runner::Impl::next_volume(Answer answer) {
  volume_over("OK");
  volume_answer_ = std::move(answer);
  feed(VolumeEnded{});
}

// ---- waiting, watching, ending ----

void Runner::Impl::settle_waiting() {
  if (!space_.anybody_waits() || !drive_) return;
  loop_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired() || !drive_) return;
    space_.settle_waiting(drive_->will_free_space());
  });
}

void Runner::Impl::sample_progress() {
  progress_ = loop_.after(kProgressEvery, [this] {
    for (auto& [id, job] : jobs_) {
      if (job.write) {
        recorder_->record(journal::DumpProgress{job.image, job.write->bytes(), {}, {}});
        continue;
      }
      if (!job.dump) continue;
      const uint64_t bytes = job.dump->bytes();
      const auto* meter = job.dump->meter();
      journal::DumpProgress progress{job.image, bytes, {}, {}};
      if (meter == nullptr) {
        progress.waits_for = "the client's answer";
      } else {
        progress.joints.push_back(joint_of("receive", *meter));
        if (bytes == sampled_[id]) {
          progress.waits_for =
              meter->state() == flow::FlowState::blocked ? "the holding disk or volume" : "the client";
        }
      }
      sampled_[id] = bytes;
      recorder_->record(progress);
    }
    settle_waiting();
    sample_progress();
  });
}

void Runner::Impl::cancel(std::string reason) {
  if (cancelled_ || !drive_ || drive_->finished()) return;
  cancelled_ = reason;
  note(journal::Severity::error, "driver", fmt::format("the run is ended early: {}", reason));
  estimates_.reset();
  feed(Cancel{std::move(reason)});
}

void Runner::Impl::finish() {
  progress_.reset();
  if (station_ && station_->loaded()) volume_over("OK");
  history_->when_settled([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    for (const auto& disk : config_.holding_disks) {
      if (auto left = hold::leave(disk.directory / recorder_->timestamp()); !left) {
        note(journal::Severity::warning, "driver", left.error().what());
      }
    }
    const double seconds = std::chrono::duration<double>(loop_.clock().now() - began_).count();
    auto as_finished = recorder_->state();
    as_finished.finished = journal::RunFinished{0, seconds};
    int status = journal::exit_status_of(as_finished);
    if (cancelled_ || !recorder_->failure().empty()) status |= 1;
    recorder_->record(journal::RunFinished{status, seconds});
    auto done = std::move(done_);
    done(status);
  });
}

Runner::Runner(loop::Loop& loop, const config::ServerConfig& config, RunOptions options)
    : impl_(std::make_unique<Impl>(loop, config, std::move(options))) {}
Runner::~Runner() = default;
Result<> Runner::begin() { return impl_->begin(); }
void Runner::start(std::move_only_function<void(const journal::Body&)> watcher,
                   std::move_only_function<void(int)> done) {
  impl_->start(std::move(watcher), std::move(done));
}
void Runner::cancel(std::string reason) { impl_->cancel(std::move(reason)); }
const journal::RunState& Runner::state() const { return impl_->state(); }

}  // namespace headrace::drive
