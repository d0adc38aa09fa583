// The runner's storages: what selects what, and what of held images is still to go where.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "server/drive/reasons.h"
#include "server/drive/runner_impl.h"

namespace headrace::drive {

namespace {

// KiB of so many per cent of a volume.
uint64_t part_of_volume(const config::Storage& storage, int64_t percent) {
  const auto length = static_cast<double>(std::max<int64_t>(storage.tapetype.length_kib, 0));
  return static_cast<uint64_t>(length * static_cast<double>(percent) / 100.0);
}

}  // namespace

// Storages that name the same changer share the object: its locks do not exclude a process from itself.
void Runner::Impl::open_storages() {
  std::map<std::pair<std::string, std::string>, std::shared_ptr<volume::Changer>> changers;
  for (const auto* storage : config_.storages_in_use()) storages_.emplace_back().storage = storage;
  const auto limits = storage_limits();
  for (size_t number = 0; number < storages_.size(); ++number) {
    auto& it = storages_[number];
    it.first_writer = writers_.size();
    const size_t count = Writers(limits[number]).size();
    for (size_t writer = 0; writer < count; ++writer) writers_.emplace_back().storage = number;
    const auto& changer = it.storage->changer;
    auto& shared = changers[{changer.tpchanger, changer.changerfile.native()}];
    if (!shared) {
      auto made = volume::make_changer(config_, *it.storage);
      if (!made) {
        it.no_station = made.error().what();
        continue;
      }
      shared = std::move(*made);
    }
    it.station =
        std::make_unique<VolumeStation>(loop_, config_, *it.storage, recorder_->timestamp(), shared, count);
  }
}

std::vector<StorageLimits> Runner::Impl::storage_limits() const {
  std::vector<StorageLimits> all;
  for (const auto& it : storages_) {
    const auto& storage = *it.storage;
    const auto* rate = known_rates_.of(storage.name);
    const auto writers = std::max<int64_t>(std::min(storage.taper_parallel_write, storage.runtapes), 1);
    all.push_back({.name = storage.name,
                   .volumes = options_.no_volume ? 0 : storage.runtapes,
                   .parallel_writes = storage.taper_parallel_write,
                   .dumps_on_volume = storage.max_dle_by_volume,
                   .held_threshold_kib = part_of_volume(storage, storage.flush_threshold_dumped),
                   .scheduled_threshold_kib = part_of_volume(storage, storage.flush_threshold_scheduled),
                   .flush_kib = part_of_volume(storage, storage.taperflush),
                   .algorithm = storage.taperalgo,
                   .volume_kib = part_of_volume(storage, 100),
                   .kps = rate == nullptr ? 0 : rate->kps * static_cast<uint64_t>(writers)});
  }
  return all;
}

size_t Runner::Impl::storage_of(size_t writer) const { return writers_[writer].storage; }

std::string Runner::Impl::of_storage(size_t storage) const {
  return storages_.size() > 1 ? " of storage " + storage_at(storage).name : "";
}

const LoadedVolume& Runner::Impl::volume_at(size_t writer) const {
  static const LoadedVolume kNone;
  const auto& it = storages_[storage_of(writer)];
  return it.station ? it.station->current(writer - it.first_writer) : kNone;
}

uint64_t Runner::Impl::lane_at(size_t writer) const {
  const auto& it = storages_[storage_of(writer)];
  return it.station->lane(writer - it.first_writer);
}

JobInfo& Runner::Impl::add_job(JobId id) {
  JobInfo& job = jobs_[id];
  job.copies.resize(storages_.size());
  return job;
}

Storages Runner::Impl::selecting(const config::Dumptype& type, int level) const {
  Storages found;
  for (size_t storage = 0; storage < storages_.size(); ++storage)
    if (config::selects(storage_at(storage), type.tags, level)) found.push_back(storage);
  return found;
}

// Where the command file orders it, else to all that select it, also those that only wait for it.
std::vector<std::string> Runner::Impl::wanting(const JobInfo& job) const {
  if (auto ordered = orders_->storages_of(job.file)) return std::move(*ordered);
  const config::Dumptype unlisted;
  const auto& type = job.disk != nullptr ? job.disk->dumptype : unlisted;
  std::vector<std::string> names;
  for (const auto* storage : config_.storages_with_active())
    if (config::selects(*storage, type.tags, job.image.level)) names.push_back(storage->name);
  return names;
}

void Runner::Impl::plan_flush(const hold::Image& image, const config::DiskListEntry* listed, bool run_died) {
  const JobId id = next_job_++;
  JobInfo& job = add_job(id);
  job.disk = listed;
  job.earlier = true;
  job.image = {image.header.host, image.header.disk, image.header.timestamp, image.header.level};
  job.header = image.header;
  job.file = image.file;
  job.stored_kib = base::to_kib(image.data_bytes);
  const auto storages = wanting(job);
  recorder_->record(journal::FlushPlanned{job.image, job.file, job.stored_kib,
                                          run_died ? "run-died" : "autoflush", storages});
  want(job, storages, !run_died);
  flushes_.push_back(id);
}

// With one storage alone nothing has to be ordered: whoever finds the image knows where it goes.
void Runner::Impl::want(JobInfo& job, const std::vector<std::string>& storages, bool by_autoflush) {
  const auto stays = [&](const std::string& storage, std::string why) {
    job.stays = true;
    recorder_->record(journal::ImageLeftOnHolding{
        job.image, job.file, job.stored_kib, std::move(why), std::string(kNotInRun), {}, storage});
  };
  if (config_.storages_with_active().size() > 1 || orders_->storages_of(job.file))
    orders_->add(job.image, job.file, storages);
  for (const auto& name : storages) {
    const auto here = std::ranges::find(
        storages_, name, [](const StorageInfo& it) -> const std::string& { return it.storage->name; });
    if (here == storages_.end())
      stays(name,
            fmt::format("this run does not write to storage {}, for which it is ordered (active-storage)",
                        name));
    else if (by_autoflush && here->storage->autoflush == config::Autoflush::no)
      stays(name, fmt::format("images of earlier runs are not written to storage {} (autoflush)", name));
    else
      job.copies[static_cast<size_t>(here - storages_.begin())].wanted = true;
  }
}

void Runner::Impl::left_on_holding(const LeaveOnHolding& left) {
  JobInfo& job = jobs_.at(left.id);
  // It stays for a storage that is not in this run, as was said: some storage does select it.
  if (left.why == Left::not_selected && job.stays) return;
  job.stays = true;
  const bool of_one = left.why != Left::not_selected;
  const std::string prefix =
      of_one && storages_.size() > 1 ? fmt::format("storage {}: ", storage_at(left.storage).name) : "";
  const auto parameters =
      of_one ? parameters_of(left.why, storage_at(left.storage)) : std::vector<journal::Parameter>{};
  recorder_->record(journal::ImageLeftOnHolding{job.image, job.file, job.stored_kib, prefix + left.reason,
                                                std::string(code_of(left.why)), parameters,
                                                of_one ? storage_at(left.storage).name : ""});
}

}  // namespace headrace::drive
