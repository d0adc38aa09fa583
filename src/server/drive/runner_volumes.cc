// The runner's volumes, and the images on their way from holding disk to them.
#include <fmt/format.h>

#include "base/file.h"
#include "server/drive/runner_impl.h"
#include "server/hold/scan.h"

namespace headrace::drive {

using base::ErrorKind;
using base::Result;

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
  job.judgement.reset();
  job.watch = std::make_unique<PathWatch>(PathShape{.from_holding = true, .to_volume = true});
  job.told_verdict.clear();
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
  job.watch.reset();
  job.judgement.reset();
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
      [file = job.file, log = recorder_->log_path(), outcome] {
        // The log's word about the volume must outlast a power failure before the copy here goes.
        if (auto synced = base::sync_file(log); !synced) {
          *outcome = std::move(synced);
          return;
        }
        auto image = hold::read_image(file);
        *outcome = image ? hold::delete_image(*image) : Result<>(std::unexpected(image.error()));
      },
      [this, alive = alive_.ref(), id, outcome] {
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

}  // namespace headrace::drive
