// What an operator changes while the run goes on: gates and limits. The journal's state is the only record of
// who holds what.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/match.h"
#include "server/drive/runner_impl.h"

namespace headrace::drive {

using base::ErrorKind;
using base::Result;
using journal::Phase;

namespace {

journal::Joint joint_of(const flow::MeterSnapshot& meter) {
  const auto ms = [](base::Duration d) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
  };
  return {.name = "server receive",
          .bytes = meter.bytes,
          .starved_ms = ms(meter.starved),
          .blocked_ms = ms(meter.blocked),
          .gated_ms = ms(meter.gated),
          .throttled_ms = ms(meter.throttled),
          .busy_ms = ms(meter.busy)};
}

bool is_over(const journal::DumpState* dump) {
  return dump != nullptr && dump->phase != Phase::chosen && dump->phase != Phase::planned &&
         dump->phase != Phase::dumping;
}

}  // namespace

void Runner::Impl::begin_limits() {
  in_parallel_ = config_.globals.inparallel;
  for (const auto& disk : night_->disks)
    if (const auto* interface = config_.interface_named(disk.interface_name))
      interface_kps_[disk.interface_name] = interface->use_kps;
}

int64_t Runner::Impl::max_dumps_of(const config::DiskListEntry& disk) const {
  const auto changed = host_max_dumps_.find(disk.host);
  return changed != host_max_dumps_.end() ? changed->second : disk.dumptype.maxdumps;
}

bool Runner::Impl::is_paused(const config::DiskListEntry& disk) const {
  return std::ranges::any_of(state().pauses,
                             [&](const auto& p) { return p.host == disk.host && p.disk == disk.disk; });
}

bool Runner::Impl::holds(const std::string& by, const config::DiskListEntry& disk) const {
  return std::ranges::any_of(state().pauses, [&](const auto& p) {
    return p.host == disk.host && p.disk == disk.disk && p.by == by;
  });
}

std::optional<JobId> Runner::Impl::job_of(size_t disk) const {
  const auto found = tonight_.find(disk);
  return found == tonight_.end() ? std::nullopt : std::optional(found->second);
}

DiskStand Runner::Impl::stand_of(size_t disk) const {
  DiskStand stand{.disk = &night_->disks[disk]};
  const auto known = std::ranges::find_if(state().dumps, [&](const auto& it) {
    return it.image.host == stand.disk->host && it.image.disk == stand.disk->disk &&
           it.image.timestamp == timestamp();
  });
  if (known != state().dumps.end()) {
    stand.dump = &*known;
    stand.bytes = known->bytes;
  }
  if (const auto id = job_of(disk); id && jobs_.at(*id).dump) {
    const JobInfo& job = jobs_.at(*id);
    stand.bytes = job.dump->bytes();
    if (const auto meters = job.dump->meters(); !meters.empty())
      stand.received = joint_of(meters.front()->snapshot());
    if (job.watched.judgement) stand.verdict = flow::name_of(job.watched.judgement->verdict);
  }
  return stand;
}

std::vector<DiskStand> Runner::Impl::disks() const {
  std::vector<DiskStand> out;
  for (size_t i = 0; i < night_->disks.size(); ++i) out.push_back(stand_of(i));
  return out;
}

Result<std::vector<size_t>> Runner::Impl::select(const std::vector<std::string>& words, bool exact) const {
  return config::select(night_->disks, words, exact);
}

PauseOutcome Runner::Impl::pause(size_t disk, const std::string& by) {
  const auto& entry = night_->disks[disk];
  const auto stand = stand_of(disk);
  // What is not in the run at all is over, too.
  if (stand.dump == nullptr || is_over(stand.dump)) return PauseOutcome::over;
  if (holds(by, entry)) return PauseOutcome::already;
  recorder_->record(journal::DumpPaused{entry.host, entry.disk, by});
  if (const auto id = job_of(disk)) {
    if (const auto& dump = jobs_.at(*id).dump) dump->gate().close();
    feed(Pause{*id});
  }
  return PauseOutcome::done;
}

PauseOutcome Runner::Impl::resume(size_t disk, const std::string& by) {
  const auto& entry = night_->disks[disk];
  if (!holds(by, entry)) return is_over(stand_of(disk).dump) ? PauseOutcome::over : PauseOutcome::already;
  recorder_->record(journal::DumpResumed{entry.host, entry.disk, by});
  if (const auto id = job_of(disk); id && !is_paused(entry)) {
    const JobInfo& job = jobs_.at(*id);
    if (job.dump && !job.held_back) job.dump->gate().reopen();
    feed(Resume{*id});
  }
  return PauseOutcome::done;
}

// --- limits
// ------------------------------------------------------------------------------------------------

flow::Throttle& Runner::Impl::throttle_of(const config::DiskListEntry& disk) {
  for (const auto& key : {std::pair(disk.host, disk.disk), std::pair(disk.host, std::string())})
    if (const auto it = throttles_.find(key); it != throttles_.end() && it->second->rate() > 0)
      return *it->second;
  auto& of_run = throttles_[{}];
  if (!of_run) of_run = std::make_unique<flow::Throttle>(loop_);
  return *of_run;
}

std::vector<LimitInForce> Runner::Impl::limits() const {
  std::vector<LimitInForce> out;
  out.push_back({"inparallel", {}, {}, {}, in_parallel_, config_.globals.inparallel});
  for (const auto& [name, kps] : interface_kps_)
    out.push_back({"netusage", name, {}, {}, kps, config_.interface_named(name)->use_kps});
  std::set<std::string> hosts;
  for (const auto& disk : night_->disks)
    if (hosts.insert(disk.host).second)
      out.push_back({"maxdumps", {}, disk.host, {}, max_dumps_of(disk), disk.dumptype.maxdumps});
  for (const auto& [key, throttle] : throttles_)
    if (throttle->rate() > 0)
      out.push_back({"rate", {}, key.first, key.second, static_cast<int64_t>(throttle->rate()), 0});
  return out;
}

void Runner::Impl::set_limit(LimitInForce limit, int64_t& value, int64_t wanted,
                             std::vector<LimitInForce>& changed) {
  limit.configured = std::exchange(value, wanted);
  limit.value = wanted;
  if (limit.configured != limit.value)
    recorder_->record(journal::LimitChanged{limit.limit, limit.interface, limit.host, limit.disk,
                                            limit.configured, limit.value});
  changed.push_back(std::move(limit));
}

// Whether one of the words is a disk's and no host's.
bool Runner::Impl::names_disks(const LimitChange& change) const {
  return std::ranges::any_of(change.words, [&](const std::string& word) {
    return std::ranges::none_of(night_->disks, [&](const auto& disk) {
      return change.exact ? disk.host == word : config::match_host(word, disk.host);
    });
  });
}

void Runner::Impl::change_max_dumps(const std::vector<size_t>& disks, int64_t wanted,
                                    std::vector<LimitInForce>& changed) {
  std::set<std::string> hosts;
  for (const size_t index : disks) {
    const auto& disk = night_->disks[index];
    if (!hosts.insert(disk.host).second) continue;
    auto& value = host_max_dumps_.try_emplace(disk.host, disk.dumptype.maxdumps).first->second;
    set_limit({.limit = "maxdumps", .host = disk.host}, value, wanted, changed);
  }
}

void Runner::Impl::change_rates(const LimitChange& change, const std::vector<size_t>& disks,
                                std::vector<LimitInForce>& changed) {
  std::set<std::pair<std::string, std::string>> whose;
  if (change.words.empty()) {
    whose.emplace();
  } else {
    const bool of_disks = names_disks(change);
    for (const size_t index : disks)
      whose.emplace(night_->disks[index].host, of_disks ? night_->disks[index].disk : "");
  }
  for (const auto& key : whose) {
    auto& throttle = throttles_[key];
    if (!throttle) throttle = std::make_unique<flow::Throttle>(loop_);
    auto value = static_cast<int64_t>(throttle->rate());
    throttle->set_rate(static_cast<uint64_t>(*change.rate));
    set_limit({.limit = "rate", .host = key.first, .disk = key.second}, value, *change.rate, changed);
  }
  for (auto& [id, job] : jobs_)
    if (job.dump) job.dump->set_throttle(throttle_of(*job.disk));
}

Result<std::vector<LimitInForce>> Runner::Impl::change_limits(const LimitChange& change) {
  if (change.netusage_kps && !interface_kps_.contains(change.interface)) {
    std::string known;
    for (const auto& [name, kps] : interface_kps_) known += (known.empty() ? "" : ", ") + name;
    return base::fail(
        ErrorKind::refused,
        fmt::format("no disk of this run uses an interface \"{}\"; those used: {}", change.interface, known));
  }
  const auto disks = select(change.words, change.exact);
  if (!disks) return std::unexpected(disks.error());
  std::vector<LimitInForce> changed;
  if (change.in_parallel) set_limit({.limit = "inparallel"}, in_parallel_, *change.in_parallel, changed);
  if (change.netusage_kps)
    set_limit({.limit = "netusage", .interface = change.interface}, interface_kps_[change.interface],
              *change.netusage_kps, changed);
  if (change.max_dumps) change_max_dumps(*disks, *change.max_dumps, changed);
  if (change.rate) change_rates(change, *disks, changed);
  if (drive_) feed(ChangeLimits{in_parallel_, interface_kps_, host_max_dumps_});
  return changed;
}

}  // namespace headrace::drive
