#include "server/drive/pacer.h"

#include <algorithm>
#include <utility>

namespace headrace::drive {
namespace {

// A drive that waits less than this for its holding disk is not slow because of it.
constexpr double kStarved = 0.1;
// In samples, which are a second apart.
constexpr int kCalm = 3;         // of enough before one more dump goes on
constexpr int kTurn = 10;        // before others wait
constexpr int kUseless = 20;     // before holding back is given up
constexpr int kLeftAlone = 600;  // before it is tried again

}  // namespace

void Pacer::judge(Disk& disk, bool too_slow, size_t dumps) {
  if (disk.left_alone > 0) {
    --disk.left_alone;
    return;
  }
  if (too_slow) {
    disk.calm = 0;
    disk.open = disk.paced ? disk.open / 2 : dumps / 2;
    disk.paced = true;
    disk.useless = disk.open == 0 ? disk.useless + 1 : 0;
    if (disk.useless < kUseless) return;
    disk = {.left_alone = kLeftAlone, .line = std::move(disk.line)};
    return;
  }
  disk.useless = 0;
  if (!disk.paced || ++disk.calm < kCalm) return;
  disk.calm = 0;
  if (++disk.open >= dumps) disk.paced = false;
}

std::set<JobId> Pacer::sample(std::span<const Writing> writing, std::span<const Dumping> dumping) {
  std::map<size_t, bool> too_slow;
  for (const auto& it : writing) {
    if (it.lowest_kps == 0) continue;
    too_slow[it.holding_disk] |= it.kps < it.lowest_kps && it.starved >= kStarved;
  }
  std::erase_if(disks_, [&](const auto& disk) { return !too_slow.contains(disk.first); });

  std::set<JobId> held;
  for (const auto& [number, slow] : too_slow) {
    auto& disk = disks_[number];
    std::vector<JobId> here;
    for (const auto& it : dumping)
      if (it.holding_disk == number) here.push_back(it.id);
    std::erase_if(disk.line, [&](JobId id) { return std::ranges::find(here, id) == here.end(); });
    for (const JobId id : here)
      if (std::ranges::find(disk.line, id) == disk.line.end()) disk.line.push_back(id);
    judge(disk, slow, here.size());
    if (!disk.paced) continue;
    const size_t open = std::min(disk.open, disk.line.size());
    if (++disk.turn >= kTurn) {
      disk.turn = 0;
      std::ranges::rotate(disk.line, disk.line.begin() + static_cast<std::ptrdiff_t>(open));
    }
    held.insert(disk.line.begin() + static_cast<std::ptrdiff_t>(open), disk.line.end());
  }
  return held;
}

bool Pacer::of_no_use() const {
  return std::ranges::any_of(disks_, [](const auto& disk) { return disk.second.left_alone > 0; });
}

}  // namespace headrace::drive
