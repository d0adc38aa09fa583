#include "server/drive/night.h"

#include <algorithm>
#include <optional>

#include "compat/curinfo.h"
#include "compat/tapelist.h"
#include "server/dump/dle_of.h"

namespace headrace::drive {

namespace {

struct Known {
  const catalog::Catalog* catalog = nullptr;
  const compat::Tapelist* tapelist = nullptr;
};

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

plan::PlanDle plan_dle(const config::ServerConfig& config, const config::DiskListEntry& disk,
                       const compat::Curinfo& info, const Known& known) {
  const auto& type = disk.dumptype;
  plan::PlanDle dle;
  dle.host = disk.host;
  dle.disk = disk.disk;
  dle.strategy = type.strategy;
  dle.ignore = type.ignore;
  dle.skip_full = type.skip_full;
  dle.skip_incr = type.skip_incr;
  dle.dumpcycle_days = type.dumpcycle_days;
  dle.priority = type.priority;
  dle.estimate = type.estimate;
  dle.holding = type.holdingdisk;
  dle.splits =
      type.allow_split && (type.tape_splitsize_kib > 0 || config.first_storage().tapetype.part_size_kib > 0);
  dle.compresses = type.compress != config::Compress::none;
  dle.comprate_full = type.comprate_full;
  dle.comprate_incr = type.comprate_incr;
  dle.last_level = info.last_level;
  for (const auto& stats : info.stats) {
    dle.records[stats.level] = {
        base::timestamp14(stats.unixtime), static_cast<uint64_t>(std::max<int64_t>(stats.native_kib, 0)),
        static_cast<uint64_t>(std::max<int64_t>(stats.stored_kib, 0)), still_there(known, disk, stats)};
  }
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
  capacity.runspercycle = config.globals.runspercycle;
  return capacity;
}

}  // namespace

Night begin_night(const config::ServerConfig& config, std::vector<config::DiskListEntry> disks,
                  const std::string& timestamp, uint64_t holding_kib) {
  Night night;
  night.inputs.timestamp = timestamp;
  night.inputs.capacity = capacity_of(config, holding_kib);
  auto catalog = catalog::load(catalog::Sources::of(config));
  if (!catalog) night.warnings.push_back(catalog.error().what());
  auto tapelist = compat::load_tapelist(config.globals.tapelist);
  if (!tapelist) night.warnings.push_back(tapelist.error().what());
  const Known known{catalog ? &*catalog : nullptr, tapelist ? &*tapelist : nullptr};
  for (const auto& disk : disks) {
    auto info = compat::load_curinfo(config.globals.infofile, disk.host, disk.disk);
    if (!info) {
      night.warnings.push_back(info.error().what() + ": its history counts as unknown");
      info = compat::Curinfo{};
    }
    night.inputs.dles.push_back(plan_dle(config, disk, *info, known));
  }
  night.disks = std::move(disks);
  night.decisions = plan::decide(night.inputs);
  return night;
}

std::vector<EstimateWish> wishes_of(const Night& night) {
  std::vector<EstimateWish> wishes;
  for (size_t i = 0; i < night.disks.size(); ++i) {
    const auto& decision = night.decisions[i];
    if (decision.fate != plan::Fate::dump || !dump::why_not(night.disks[i]).empty()) continue;
    // A disk that needs no estimate is still wished for, so that its host is asked for its features.
    wishes.push_back({night.disks[i], decision.ask_levels});
  }
  return wishes;
}

Answers::Answers(const Night& night) : night_(night), answers_(night.disks.size()) {
  for (size_t i = 0; i < night_.disks.size(); ++i) answers_[i].refusal = dump::why_not(night_.disks[i]);
}

void Answers::take(const EstimateAnswer& answer) {
  for (size_t i = 0; i < night_.disks.size(); ++i) {
    if (night_.disks[i].host != answer.host || night_.disks[i].disk != answer.disk) continue;
    answers_[i].native_kib[answer.level] = answer.kib;
    if (answer.problem.empty()) continue;
    // What the client cannot even read for an estimate it cannot dump; silence may have other causes.
    (answer.said_by_client ? answers_[i].refusal : answers_[i].trouble) = answer.problem;
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
