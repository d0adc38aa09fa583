#include "server/drive/runner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/quote.h"
#include "server/drive/leftovers.h"
#include "server/drive/level_reasons.h"
#include "server/drive/reasons.h"
#include "server/drive/runner_impl.h"
#include "server/hold/date_directory.h"

namespace headrace::drive {

using base::Error;
using base::ErrorKind;
using base::Result;

// ---- the beginning ----

Result<> Runner::Impl::begin() {
  began_ = loop_.clock().now();
  // Before our own journal: the newest one is then that of the run before.
  auto leftovers = find_leftovers(config_);
  auto recorder = Recorder::create(config_, loop_.clock());
  if (!recorder) return std::unexpected(std::move(recorder).error());
  recorder_ = std::move(*recorder);
  claimed_ = std::move(leftovers.claimed);
  std::array<char, 256> hostname{};
  ::gethostname(hostname.data(), hostname.size() - 1);
  recorder_->record(journal::RunStarted{config_.name, config_.globals.org, recorder_->timestamp(),
                                        hostname.data(), ::getpid(), HEADRACE_VERSION, journal::RunKind::dump,
                                        config_.globals.inparallel});
  if (!recorder_->clock_trouble().empty())
    note(journal::Severity::warning, "driver", recorder_->clock_trouble());
  for (auto& leftover : leftovers.found) recorder_->record(leftover);
  for (auto& problem : space_.disks().measure(hold::statvfs_free_kib)) {
    note(journal::Severity::warning, "driver", std::move(problem));
  }
  for (const auto& disk : config_.holding_disks) {
    std::error_code gone;
    if (!std::filesystem::exists(disk.directory, gone)) continue;  // as was said just now
    claimed_.push_back(disk.directory / recorder_->timestamp());
    if (auto claimed = hold::claim(claimed_.back()); !claimed) {
      note(journal::Severity::warning, "driver", claimed.error().what());
    }
  }
  if (auto rates = journal::load_rates(config_.globals.logdir))
    known_rates_ = std::move(*rates);
  else
    note(journal::Severity::warning, "driver", rates.error().what());
  open_storages();
  orders_ = std::make_unique<FlushOrders>(loop_, config_, recorder_->log_path(), [this](std::string what) {
    note(journal::Severity::warning, "driver", std::move(what));
  });
  orders_->load();
  history_ = std::make_unique<History>(loop_, config_.globals.infofile, [this](const Error& error) {
    note(journal::Severity::warning, "planner", error.what());
  });
  night_ = begin_night(config_, std::move(options_.disks), options_.selected ? Disks::selected : Disks::all,
                       recorder_->timestamp(), space_.disks().total_kib());
  begin_limits();
  answers_.emplace(*night_);
  for (const auto& warning : night_->warnings) note(journal::Severity::warning, "planner", warning);
  for (const auto& disk : night_->disks) {
    if (disk.dumptype.ignore || server_may_start(disk.dumptype)) continue;
    note(journal::Severity::info, "planner",
         fmt::format("{} {} is left out: {}", disk.host, base::quote(disk.disk),
                     why_not_started(disk.dumptype)));
  }
  for (auto& image : leftovers.to_flush) {
    const auto find = [&image](const std::vector<config::DiskListEntry>& disks) {
      const auto found = std::ranges::find_if(disks, [&image](const auto& disk) {
        return disk.host == image.header.host && disk.disk == image.header.disk;
      });
      return found == disks.end() ? nullptr : &*found;
    };
    const auto* dumped = find(night_->disks);
    const bool all = std::ranges::any_of(
        storages_, [](const StorageInfo& it) { return it.storage->autoflush == config::Autoflush::all; });
    if (options_.selected && dumped == nullptr && !all) continue;
    plan_flush(image, dumped != nullptr ? dumped : find(options_.listed),
               leftovers.dead_runs.contains(image.header.timestamp));
  }
  return {};
}

void Runner::Impl::start(std::move_only_function<void(const journal::Body&)> watcher,
                         std::move_only_function<void(int)> done) {
  done_ = std::move(done);
  recorder_->watch(std::move(watcher));
  drive_.emplace(drive_limits(), storage_limits());
  for (size_t i = 0; i < night_->disks.size(); ++i) {
    if (night_->decisions[i].fate == plan::Fate::left_out) continue;
    recorder_->record(journal::DleChosen{night_->disks[i].host, night_->disks[i].disk});
  }
  for (const auto& it : options_.taken) {
    recorder_->record(journal::DleChosen{it.host, it.disk});
    recorder_->record(journal::PlanFailed{{it.host, it.disk, recorder_->timestamp(), 0}, it.reason});
  }
  feed(LookForVolume{});
  if (!flushes_.empty()) {
    Flush flush{flushes_};
    std::set<std::string> runs;
    for (const JobId id : flushes_) runs.insert(jobs_.at(id).image.timestamp);
    for (const JobId id : flushes_) {
      const JobInfo& job = jobs_.at(id);
      flush.stored_kib.push_back(job.stored_kib);
      flush.runs.push_back(static_cast<size_t>(std::distance(runs.begin(), runs.find(job.image.timestamp))));
      auto& storages = flush.storages.emplace_back();
      for (size_t storage = 0; storage < job.copies.size(); ++storage)
        if (job.copies[storage].wanted) storages.push_back(storage);
    }
    feed(flush);
  }
  sample_progress();
  estimates_ =
      std::make_unique<Estimates>(loop_, connector_, config_, recorder_->timestamp(), wishes_of(*night_));
  estimates_->start(
      [this](const EstimateAnswer& answer) {
        answers_->take(answer);
        recorder_->record(
            journal::EstimateGot{answer.host, answer.disk, answer.level, answer.kib,
                                 answer.method == config::EstimateMethod::calcsize ? "calcsize" : "client"});
        if (!answer.warning.empty()) {
          note(journal::Severity::warning, "planner",
               fmt::format("{} {}: {}", answer.host, base::quote(answer.disk), answer.warning));
        }
      },
      [this](HostOutcomes hosts) { estimated(std::move(hosts)); });
}

Limits Runner::Impl::drive_limits() const {
  return {.in_parallel = in_parallel_,
          .write_tries = kWriteTries,
          .reserve_percent = config_.globals.reserve_percent,
          .dump_order = config_.globals.dumporder,
          .finish_soonest = true,
          .together = known_together(),
          .interface_kps = interface_kps_};
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
    if (night_->inputs.dles[skipped.dle].skip_asked)
      history_->skipped_as_asked(image(skipped.dle, skipped.level));
    if (skipped.reason == plan::kSkipFull) history_->full_elsewhere(image(skipped.dle, skipped.level));
  }
  for (const auto& failed : plan.failed) {
    recorder_->record(journal::PlanFailed{image(failed.dle, failed.level), failed.reason});
  }
  for (const auto& dump : plan.dumps) {
    record_planned(night_->disks[dump.dle], dump.as);
  }
  const double seconds = std::chrono::duration<double>(loop_.clock().now() - began_).count();
  recorder_->record(journal::PlanDone{seconds});
}

void Runner::Impl::record_planned(const config::DiskListEntry& disk, const plan::PlannedLevel& planned) {
  journal::DlePlanned event{{disk.host, disk.disk, recorder_->timestamp(), planned.level},
                            planned.reason.sentence(),
                            planned.native_kib,
                            planned.stored_kib,
                            planned.kps};
  event.code = code_of(planned.reason.why);
  event.parameters = parameters_of(planned.reason.why, disk, config_);
  event.interface = disk.interface_name;
  event.max_dumps = max_dumps_of(disk);
  if (const auto kps = interface_kps_.find(event.interface); kps != interface_kps_.end())
    event.interface_kps = kps->second;
  recorder_->record(event);
}

std::vector<Job> Runner::Impl::jobs_of(const plan::Plan& plan) {
  std::vector<Job> jobs;
  for (const auto& planned : plan.dumps) {
    const JobId id = next_job_++;
    tonight_[planned.dle] = id;
    JobInfo& info = add_job(id);
    info.disk = &night_->disks[planned.dle];
    info.full_elsewhere = plan::told_of_full_elsewhere(night_->inputs.dles[planned.dle]);
    info.image = {info.disk->host, info.disk->disk, recorder_->timestamp(), planned.as.level};
    const auto& type = info.disk->dumptype;
    Job job;
    job.id = id;
    job.host = info.disk->host;
    job.est_stored_kib = planned.as.stored_kib;
    job.max_dumps = max_dumps_of(*info.disk);
    job.paused = is_paused(*info.disk);
    job.interface = info.disk->interface_name;
    job.est_kps = planned.as.kps;
    job.own_kps = own_kps(info, planned.as.level == 0);
    job.priority = type.priority;
    job.splits = night_->inputs.dles[planned.dle].splits;
    job.full = planned.as.level == 0;
    job.storages = selecting(type, planned.as.level);
    if (planned.degraded)
      job.degraded = {planned.degraded->stored_kib, planned.degraded->kps, own_kps(info, false),
                      selecting(type, planned.degraded->level)};
    job.not_degraded = planned.not_degraded;
    info.degraded = planned.degraded;
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
  if (const auto* write = std::get_if<WriteImage>(&command)) return write_image(*write);
  if (const auto* find = std::get_if<FindVolume>(&command)) return find_volume(find->storage);
  if (const auto* load = std::get_if<LoadVolume>(&command)) return load_volume(*load);
  if (const auto* ended = std::get_if<EndVolume>(&command)) return volume_over(ended->writer, "OK");
  if (const auto* handed = std::get_if<HandOverVolume>(&command)) return hand_over_volume(*handed);
  if (const auto* deny = std::get_if<DenyVolume>(&command)) return deny_volume(*deny);
  if (const auto* degraded = std::get_if<Degraded>(&command)) {
    return recorder_->record(
        journal::NoVolume{degraded->trouble, degraded->reason, storage_at(degraded->storage).name});
  }
  if (const auto* degraded = std::get_if<TakeDegraded>(&command)) {
    JobInfo& job = jobs_.at(degraded->id);
    job.image.level = job.degraded->level;
    return record_planned(*job.disk, *job.degraded);
  }
  if (const auto* given_up = std::get_if<GiveUp>(&command)) {
    const JobInfo& job = jobs_.at(given_up->id);
    return recorder_->record(journal::DumpGivenUp{job.image, given_up->reason,
                                                  std::string(code_of(given_up->why)),
                                                  parameters_of(given_up->why, config_, job.disk)});
  }
  if (const auto* left = std::get_if<LeaveOnHolding>(&command)) return left_on_holding(*left);
  if (const auto* abort = std::get_if<AbortDump>(&command)) {
    // An image that is complete is a good one: it ends by itself.
    const auto& dump = jobs_.at(abort->id).dump;
    if (!dump || dump->image_safe()) return;
    dump::DumpOutcome outcome;
    outcome.result = base::fail(ErrorKind::cancelled, cancelled_.value_or("given up on request"));
    // Later: commands are being carried out.
    loop_.post([this, alive = alive_.ref(), id = abort->id, outcome = std::move(outcome)]() mutable {
      if (alive.expired()) return;
      const auto& aborted = jobs_.at(id).dump;
      if (aborted && !aborted->image_safe()) dump_ended(id, std::move(outcome));
    });
    return;
  }
  if (const auto* abort = std::get_if<AbortWrite>(&command)) {
    if (auto& write = jobs_.at(abort->id).copies[abort->storage].write)
      write->abort(cancelled_.value_or("given up on request"));
    return;
  }
  if (const auto* waits = std::get_if<NowWaits>(&command)) {
    return tell_wait(jobs_.at(waits->id), *waits);
  }
  finish();
}

// ---- waiting, watching, ending ----

void Runner::Impl::settle_waiting() {
  if (!space_.anybody_waits() || !drive_) return;
  loop_.post([this, alive = alive_.ref()] {
    if (alive.expired() || !drive_) return;
    if (space_.anybody_waits() && !drive_->space_is_wanted()) feed(SpaceWanted{});
    space_.settle_waiting(drive_->will_free_space());
  });
}

void Runner::Impl::cancel(std::string reason) {
  if (cancelled_ || !drive_ || drive_->finished()) return;
  cancelled_ = reason;
  note(journal::Severity::error, "driver", fmt::format("the run is ended early: {}", reason));
  estimates_.reset();
  feed(Cancel{std::move(reason)});
}

uint64_t Runner::Impl::own_kps(const JobInfo& job, bool full) const {
  const auto* rate = known_rates_.of(job.image.host, job.image.disk, full);
  return rate == nullptr ? 0 : rate->own_kps;
}

MeasuredTogether Runner::Impl::known_together() const {
  MeasuredTogether known;
  for (const auto& it : known_rates_.together)
    (it.host.empty() ? known.kps : known.host_kps[it.host]) = it.kps;
  return known;
}

void Runner::Impl::keep_rates() {
  const auto most = together_.most(known_together().kps);
  for (const auto& [host, kps] : most.host_kps)
    measured_rates_.add(journal::TogetherRate{host, recorder_->timestamp(), kps});
  if (most.kps > 0) measured_rates_.add(journal::TogetherRate{{}, recorder_->timestamp(), most.kps});
  if (measured_rates_.empty()) return;
  history_->later([logdir = config_.globals.logdir, measured = std::move(measured_rates_)] {
    return journal::add_to_rates(logdir, measured);
  });
}

void Runner::Impl::finish() {
  progress_.reset();
  keep_rates();
  for (size_t writer = 0; writer < writers_.size(); ++writer)
    if (volume_at(writer).volume) volume_over(writer, "OK");
  orders_->let_go([this, alive = alive_.ref()] {
    if (!alive.expired()) finish_when_settled();
  });
}

void Runner::Impl::finish_when_settled() {
  history_->when_settled([this, alive = alive_.ref()] {
    if (alive.expired()) return;
    for (const auto& directory : claimed_) {
      if (auto left = hold::leave(directory); !left) {
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

Runner::Runner(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
               RunOptions options)
    : impl_(std::make_unique<Impl>(loop, connector, config, std::move(options))) {}
Runner::~Runner() = default;
Result<> Runner::begin() { return impl_->begin(); }
void Runner::start(std::move_only_function<void(const journal::Body&)> watcher,
                   std::move_only_function<void(int)> done) {
  impl_->start(std::move(watcher), std::move(done));
}
void Runner::cancel(std::string reason) { impl_->cancel(std::move(reason)); }
const journal::RunState& Runner::state() const { return impl_->state(); }
const std::string& Runner::timestamp() const { return impl_->timestamp(); }
std::vector<DiskStand> Runner::disks() const { return impl_->disks(); }
Result<std::vector<size_t>> Runner::select(const std::vector<std::string>& words, bool exact) const {
  return impl_->select(words, exact);
}
PauseOutcome Runner::pause(size_t disk, const std::string& by) { return impl_->pause(disk, by); }
PauseOutcome Runner::resume(size_t disk, const std::string& by) { return impl_->resume(disk, by); }
std::vector<LimitInForce> Runner::limits() const { return impl_->limits(); }
Result<std::vector<LimitInForce>> Runner::change_limits(const LimitChange& change) {
  return impl_->change_limits(change);
}

}  // namespace headrace::drive