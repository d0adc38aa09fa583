// Dumps held back so that a drive keeps its lowest speed, as the pacer (pacer.h) says.
#include <fmt/format.h>

#include <algorithm>

#include "config/lowest_speed.h"
#include "server/drive/runner_impl.h"

namespace headrace::drive {

// Of an image on holding disk: where it begins.
std::optional<size_t> Runner::Impl::holding_disk_of(const JobInfo& job) const {
  for (size_t i = 0; i < config_.holding_disks.size(); ++i) {
    const auto& directory = config_.holding_disks[i].directory;
    if (std::ranges::mismatch(directory, job.file).in1 == directory.end()) return i;
  }
  return std::nullopt;
}

std::optional<Pacer::Writing> Runner::Impl::pace_of(const JobInfo& job, const CopyInfo& copy,
                                                    int64_t lowest_kps) const {
  if (lowest_kps <= 0 || !copy.write || copy.write->meter() == nullptr) return std::nullopt;
  const auto disk = holding_disk_of(job);
  const auto seen = copy.watched.watch->observe();
  if (!disk || !seen || !seen->joints.front()) return std::nullopt;
  return Pacer::Writing{.holding_disk = *disk,
                        .kps = copy.watched.watch->rate() / 1024,
                        .lowest_kps = static_cast<uint64_t>(lowest_kps),
                        .starved = seen->joints.front()->starved};
}

void Runner::Impl::pace() {
  std::vector<Pacer::Writing> writing;
  std::vector<Pacer::Dumping> dumping;
  const config::Storage* storage = nullptr;
  for (const auto& [id, job] : jobs_) {
    for (size_t i = 0; i < job.copies.size(); ++i) {
      const auto pace = pace_of(job, job.copies[i], storage_at(i).lowest_kps);
      if (!pace) continue;
      writing.push_back(*pace);
      storage = &storage_at(i);
    }
    if (job.dump && job.holding_target) dumping.push_back({id, job.holding_target->disk()});
  }
  const auto held = pacer_.sample(writing, dumping);
  for (const auto& it : dumping) {
    JobInfo& job = jobs_.at(it.id);
    const bool hold = held.contains(it.id);
    if (hold != std::exchange(job.held_back, hold) && !is_paused(*job.disk))
      hold ? job.dump->gate().close() : job.dump->gate().reopen();
    if (!hold) continue;
    recorder_->record(journal::Waiting{
        job.image,
        fmt::format("the drive of {}, which its holding disk must keep writing ({})", storage->name,
                    config::kLowestSpeedProperty),
        "pacing",
        {{config::kLowestSpeedProperty, fmt::format("{} KiB/s", storage->lowest_kps), storage->name}}});
  }
  if (!pacer_.of_no_use() || std::exchange(told_of_no_use_, true)) return;
  note(journal::Severity::warning, "driver",
       fmt::format("the drive of {} gets less than {} {} KiB/s even while no dump writes to the holding disk "
                   "that it reads from: dumps are not held back for it for a while",
                   storage->name, config::kLowestSpeedProperty, storage->lowest_kps));
}

}  // namespace headrace::drive
