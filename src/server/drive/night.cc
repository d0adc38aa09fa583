#include "server/drive/night.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <ranges>
#include <set>
#include <utility>

#include "compat/curinfo.h"
#include "compat/tapelist.h"
#include "server/drive/skip_mark.h"
#include "server/dump/dle_of.h"
#include "server/plan/levels.h"

namespace headrace::drive {

namespace {

using Dle = std::pair<std::string, std::string>;  // host, disk

struct Known {
  const catalog::Catalog* catalog = nullptr;
  const compat::Tapelist* tapelist = nullptr;
  std::map<std::string, int64_t> overwritten_in_runs = {};  // by label
  // Dumps that were begun and came to nothing.
  std::map<Dle, std::vector<const catalog::FailedDump*>> failed = {};
  // By host, of the disks that the disklist names no more.
  std::map<std::string, std::vector<plan::FormerDisk>> former = {};
};

// Volumes are written again oldest first, once there are as many as tapecycle asks for.
std::map<std::string, int64_t> when_overwritten(const compat::Tapelist& tapelist, int64_t tapecycle,
                                                int64_t volumes_a_run) {
  std::vector<std::string> oldest_first;
  for (const auto& entry : tapelist.entries()) {
    if (entry.reuse) oldest_first.insert(oldest_first.begin(), entry.label);
  }
  int64_t turn = std::max<int64_t>(tapecycle - static_cast<int64_t>(oldest_first.size()), 0);
  std::map<std::string, int64_t> runs;
  for (auto& label : oldest_first) runs[std::move(label)] = turn++ / std::max<int64_t>(volumes_a_run, 1) + 1;
  return runs;
}

// How many runs there are in a dumpcycle, guessed as Amanda does it: by the volumes written on the days of
// the last one, of a young configuration in proportion; without any, one a day.
int64_t runs_in_cycle(const compat::Tapelist& tapelist, const std::string& timestamp, int64_t days,
                      int64_t volumes_a_run) {
  const auto today = plan::day_of(timestamp);
  int64_t volumes = 0;
  int64_t oldest = 0;  // days ago
  for (const auto& entry : tapelist.entries()) {
    const auto day = entry.used() ? plan::day_of(entry.timestamp) : std::nullopt;
    if (!today || !day) continue;
    const int64_t ago = (*today - *day).count();
    oldest = std::max(oldest, ago);
    if (ago < days) ++volumes;
  }
  if (volumes == 0) return days;
  if (oldest < days) volumes = volumes * days / std::max<int64_t>(oldest, 1);
  const int64_t a_run = std::max<int64_t>(volumes_a_run, 1);
  return std::max<int64_t>((volumes + a_run - 1) / a_run, 1);
}

// Whether a dump that the info file speaks of can still be restored.
bool still_there(const Known& known, const config::DiskListEntry& disk, const compat::LevelStats& stats) {
  const std::string timestamp = base::timestamp14(stats.unixtime);
  if (known.catalog != nullptr) {
    bool listed = false;
    for (const auto* image : known.catalog->images_of(disk.host, disk.disk)) {
      if (image->level != stats.level || image->timestamp != timestamp) continue;
      if (image->status == catalog::ImageStatus::ok) return true;
      listed = true;
    }
    // The catalog knows it and says that it is not whole any more.
    if (listed) return false;
  }
  // Its log may be gone while its volume still is what it was.
  if (known.tapelist == nullptr || stats.label.empty()) return false;
  const auto* volume = known.tapelist->find(stats.label);
  return volume != nullptr && volume->timestamp == timestamp;
}

// The catalog has dumps that the record does not know: it was put back from an old copy, or a run was killed
// before it wrote it. The client recorded them, and what is made next builds on them. A disk without any
// record is left to begin anew: so one is forgotten on purpose (amadmin delete).
void add_unrecorded(const Known& known, const std::string& tonight, plan::PlanDle& dle) {
  if (known.catalog == nullptr || dle.records.empty()) return;
  std::string newest;
  for (const auto& [_, record] : dle.records)
    if (record.timestamp < tonight) newest = std::max(newest, record.timestamp);
  auto images = known.catalog->images_of(dle.host, dle.disk);  // newest first
  std::erase_if(images, [&](const catalog::Image* image) {
    return image->status != catalog::ImageStatus::ok || image->timestamp <= newest ||
           image->timestamp >= tonight;
  });
  for (const auto* image : std::views::reverse(images)) {
    if (image->timestamp == dle.unrecorded) continue;  // another copy
    const auto stored = static_cast<int64_t>(image->bytes / 1024);
    const auto native = static_cast<uint64_t>(image->native_kib >= 0 ? image->native_kib : stored);
    const std::string label = image->parts.empty() ? std::string() : image->parts.front().label;
    const auto overwritten = known.overwritten_in_runs.find(label);
    std::erase_if(dle.records, [&](const auto& record) { return record.first >= image->level; });
    dle.records[image->level] = {
        .timestamp = image->timestamp,
        .native_kib = native,
        .stored_kib = static_cast<uint64_t>(stored),
        .label = label,
        .overwritten_in_runs = overwritten == known.overwritten_in_runs.end() ? 0 : overwritten->second};
    dle.last_level_runs = dle.last_level == image->level ? dle.last_level_runs + 1 : 1;
    dle.last_level = image->level;
    dle.history.insert(dle.history.begin(), {image->level, native});
    dle.unrecorded = image->timestamp;
  }
}

// The newest whole full of each disk that is in the catalog but not in the disklist.
std::map<std::string, std::vector<plan::FormerDisk>> former_disks(
    const catalog::Catalog& catalog, const std::vector<config::DiskListEntry>& disks) {
  constexpr size_t kMostOfAHost = 5;
  std::set<Dle> seen;
  for (const auto& disk : disks) seen.insert({disk.host, disk.disk});
  std::map<std::string, std::vector<plan::FormerDisk>> former;
  for (const auto& image : catalog.images()) {
    if (image.level != 0 || image.status != catalog::ImageStatus::ok) continue;
    if (former[image.host].size() >= kMostOfAHost || !seen.insert({image.host, image.disk}).second) continue;
    former[image.host].push_back(
        {image.disk, image.timestamp, image.parts.empty() ? std::string() : image.parts.front().label});
  }
  return former;
}

// A dump that failed on its way, or with its run, may be recorded by its client all the same. What it would
// build the next levels on is then not the dump that the server has, so nothing may build on that level. What
// was made on it before stays good.
void distrust_failed(const Known& known, const config::DiskListEntry& disk, plan::PlanDle& dle) {
  const auto failures = known.failed.find({disk.host, disk.disk});
  if (failures == known.failed.end()) return;
  for (const auto* failed : failures->second) {
    const auto record = dle.records.find(failed->level);
    if (record != dle.records.end() && record->second.timestamp >= failed->timestamp) continue;
    auto& first = dle.failed[failed->level];
    if (first.empty() || failed->timestamp < first) first = failed->timestamp;
  }
}

plan::PlanDle plan_dle(const config::ServerConfig& config, const config::DiskListEntry& disk,
                       const compat::Curinfo& info, const Known& known, const std::string& tonight) {
  const auto& type = disk.dumptype;
  plan::PlanDle dle;
  dle.host = disk.host;
  dle.disk = disk.disk;
  dle.strategy = type.strategy;
  dle.ignore = type.ignore;
  dle.dump_limited = !server_may_start(type);
  dle.skip_full = type.skip_full;
  dle.skip_incr = type.skip_incr;
  dle.dumpcycle_days = type.dumpcycle_days;
  dle.max_promote_days = type.max_promote_days;
  dle.bump_size_kib = type.bump_size_kib;
  dle.bump_percent = type.bump_percent;
  dle.bump_mult = type.bump_mult;
  dle.bump_days = type.bump_days;
  dle.priority = type.priority;
  dle.estimate = type.estimate;
  dle.holding = type.holdingdisk;
  dle.splits =
      type.allow_split && (type.tape_splitsize_kib > 0 || config.first_storage().tapetype.part_size_kib > 0);
  dle.compresses = type.compress != config::Compress::none;
  dle.comprate_full = type.comprate_full;
  dle.comprate_incr = type.comprate_incr;
  dle.last_level = info.last_level;
  dle.last_level_runs = info.last_level_runs;
  for (const auto& stats : info.stats) {
    const auto overwritten = known.overwritten_in_runs.find(stats.label);
    dle.records[stats.level] = {
        .timestamp = base::timestamp14(stats.unixtime),
        .native_kib = static_cast<uint64_t>(std::max<int64_t>(stats.native_kib, 0)),
        .stored_kib = static_cast<uint64_t>(std::max<int64_t>(stats.stored_kib, 0)),
        // With skip-full the last full was made elsewhere, as far as anybody here knows.
        .exists = (type.skip_full && stats.level == 0) || still_there(known, disk, stats),
        .label = stats.label,
        .overwritten_in_runs = overwritten == known.overwritten_in_runs.end() ? 0 : overwritten->second};
  }
  for (const auto& past : info.history)
    dle.history.push_back({past.level, static_cast<uint64_t>(std::max<int64_t>(past.native_kib, 0))});
  add_unrecorded(known, tonight, dle);
  distrust_failed(known, disk, dle);
  if (const auto former = known.former.find(disk.host); dle.records.empty() && former != known.former.end())
    dle.former = former->second;
  dle.full_rates = info.full_rate;
  dle.incr_rates = info.incr_rate;
  dle.full_ratios = info.full_comp;
  dle.incr_ratios = info.incr_comp;
  dle.force_full = (info.command & compat::kForceFull) != 0;
  dle.force_level_1 = (info.command & compat::kForceLevel1) != 0;
  dle.force_bump = (info.command & compat::kForceBump) != 0;
  dle.force_no_bump = (info.command & compat::kForceNoBump) != 0;
  return dle;
}

plan::Capacity capacity_of(const config::ServerConfig& config, uint64_t holding_kib) {
  const auto& storage = config.first_storage();
  plan::Capacity capacity;
  capacity.volume_kib = storage.tapetype.length_kib;
  capacity.volumes = storage.runtapes;
  capacity.blocksize_kib = storage.tapetype.blocksize_kib;
  capacity.filemark_kib = storage.tapetype.filemark_kib;
  capacity.limit_kib = std::max<int64_t>(config.globals.maxdumpsize_kib, 0);
  capacity.holding_kib = static_cast<int64_t>(holding_kib);
  capacity.tapecycle = config.globals.tapecycle;
  capacity.dumpcycle_days = config.globals.dumpcycle_days;
  capacity.runspercycle = config.globals.runspercycle;
  return capacity;
}

}  // namespace

Night begin_night(const config::ServerConfig& config, std::vector<config::DiskListEntry> disks, Disks which,
                  const std::string& timestamp, uint64_t holding_kib) {
  Night night;
  night.inputs.timestamp = timestamp;
  night.inputs.capacity = capacity_of(config, holding_kib);
  auto catalog = catalog::load(catalog::Sources::of(config));
  if (!catalog) night.warnings.push_back(catalog.error().what());
  auto tapelist = compat::load_tapelist(config.globals.tapelist);
  if (!tapelist) night.warnings.push_back(tapelist.error().what());
  Known known{catalog ? &*catalog : nullptr, tapelist ? &*tapelist : nullptr};
  if (catalog) {
    if (which == Disks::all) known.former = former_disks(*catalog, disks);
    for (const auto& failed : catalog->failed())
      if (failed.program != "planner" && failed.program != "driver")  // by these, it never began
        known.failed[{failed.host, failed.disk}].push_back(&failed);
  }
  if (tapelist) {
    auto& capacity = night.inputs.capacity;
    known.overwritten_in_runs = when_overwritten(*tapelist, capacity.tapecycle, capacity.volumes);
    capacity.runs_in_last_cycle =
        runs_in_cycle(*tapelist, timestamp, capacity.dumpcycle_days, capacity.volumes);
  }
  for (const auto& disk : disks) {
    auto info = compat::load_curinfo(config.globals.infofile, disk.host, disk.disk);
    if (!info) {
      night.warnings.push_back(info.error().what() + ": its history counts as unknown");
      info = compat::Curinfo{};
    }
    night.inputs.dles.push_back(plan_dle(config, disk, *info, known, timestamp));
    auto skip = has_skip_mark(config.globals.infofile, disk.host, disk.disk);
    if (!skip) night.warnings.push_back(skip.error().what());
    night.inputs.dles.back().skip_asked = skip.value_or(false);
  }
  night.disks = std::move(disks);
  night.decisions = plan::decide(night.inputs);
  return night;
}

bool server_may_start(const config::Dumptype& type) { return !type.dump_limit.set || type.dump_limit.server; }

std::string why_not_started(const config::Dumptype& type) {
  return fmt::format("its dump-limit{} lets no server start its dump",
                     type.dump_limit.same_host ? " (same-host)" : "");
}

std::vector<EstimateWish> wishes_of(const Night& night) {
  std::vector<EstimateWish> wishes;
  for (size_t i = 0; i < night.disks.size(); ++i) {
    const auto& decision = night.decisions[i];
    if (decision.fate != plan::Fate::dump || !dump::why_not(night.disks[i]).empty()) continue;
    // A disk that needs no estimate is still wished for, so that its host is asked for its features.
    wishes.push_back({night.disks[i], decision.client_levels});
  }
  return wishes;
}

Answers::Answers(const Night& night) : night_(night), answers_(night.disks.size()) {
  for (size_t i = 0; i < night_.disks.size(); ++i) answers_[i].refusal = dump::why_not(night_.disks[i]);
}

void Answers::take(const EstimateAnswer& answer) {
  for (size_t i = 0; i < night_.disks.size(); ++i) {
    if (night_.disks[i].host != answer.host || night_.disks[i].disk != answer.disk) continue;
    auto& known = answers_[i];
    known.native_kib[answer.level] = answer.kib;
    if (answer.kib >= 0 && answer.method != night_.decisions[i].method)
      known.other_method[answer.level] = answer.method;
    if (!answer.before.empty()) known.before[answer.level] = answer.before;
    const bool any_size =
        std::ranges::any_of(known.native_kib, [](const auto& of) { return of.second >= 0; });
    // What the client cannot read for any estimate it cannot dump; silence may have other causes. Where
    // `estimate` names the server, the operator expects as much.
    const auto& methods = night_.disks[i].dumptype.estimate;
    const bool server = std::ranges::find(methods, config::EstimateMethod::server) != methods.end();
    if (!answer.problem.empty())
      (answer.said_by_client && !any_size && !server ? known.refusal : known.trouble) = answer.problem;
    if (any_size && !known.refusal.empty()) known.trouble = std::exchange(known.refusal, {});
  }
}

void Answers::take(const HostOutcomes& hosts) {
  for (size_t i = 0; i < night_.disks.size(); ++i) {
    const auto host = hosts.find({night_.disks[i].host, night_.disks[i].disk});
    if (host == hosts.end() || host->second.problem.empty() || !answers_[i].refusal.empty()) continue;
    answers_[i].refusal = host->second.problem;
  }
}

}  // namespace headrace::drive
