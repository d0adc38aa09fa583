// The runner's volumes, and the images on their way from holding disk to them.
#include <fmt/format.h>

#include <algorithm>

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

void Runner::Impl::write_image(const WriteImage& command) {
  const JobId id = command.id;
  JobInfo& job = jobs_.at(id);
  ++job.writes;
  job.writer = command.writer;
  writers_.at(job.writer).job = id;
  recorder_->record(journal::ImageWriteStarted{job.image, config_.first_storage().name,
                                               config_.first_storage().tapepool,
                                               station_->current(job.writer).label});
  job.write = std::make_unique<ImageWrite>(loop_, *this, id, job.file, job.header, parts_of(job),
                                           station_->lane(job.writer));
  job.judgement.reset();
  job.watch = std::make_unique<PathWatch>(PathShape{.from_holding = true, .to_volume = true});
  job.told_verdict.clear();
  job.write->start(station_->current(job.writer),
                   [this, id](WriteOutcome outcome) { write_ended(id, std::move(outcome)); });
}

void Runner::Impl::part_ended(JobId id, const volume::PartResult& part) {
  JobInfo& job = jobs_.at(id);
  const auto& storage = config_.first_storage();
  const double seconds = std::chrono::duration<double>(part.duration).count();
  writers_.at(job.writer).bytes += part.bytes;
  ++writers_.at(job.writer).files;
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
  if (outcome.result && job.write && job.write->meter() != nullptr) {
    sample_write(job);
    measured_rates_.add(journal::rate_of_write(config_.first_storage().name, recorder_->timestamp(),
                                               outcome.bytes, job.watch->joints()));
  }
  job.watch.reset();
  job.judgement.reset();
  auto spent = std::make_shared<std::unique_ptr<ImageWrite>>(std::move(job.write));
  loop_.post([spent] { spent->reset(); });
  const auto& storage = config_.first_storage();
  writers_.at(job.writer).job.reset();
  if (!outcome.result) {
    if (outcome.volume_lost && station_->loaded(job.writer))
      volume_over(job.writer, outcome.result.error().what());
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

void Runner::Impl::find_volume() {
  if (!station_) return feed(VolumeSought{no_station_});
  station_->find([this](VolumeStation::Finding finding) {
    for (auto& line : finding.notes) note(journal::Severity::info, "taper", std::move(line));
    feed(VolumeSought{std::move(finding.why_none)});
  });
}

void Runner::Impl::load_volume(const LoadVolume& command) {
  const size_t writer = command.writer;
  if (!station_) return feed(drive::NoVolume{no_station_, writer});
  station_->load(writer, [this, writer, sequence = command.sequence](VolumeStation::Loading loading) {
    for (auto& line : loading.notes) note(journal::Severity::info, "taper", std::move(line));
    if (!loading.volume) {
      const std::string reason = loading.volume.error().what();
      if (std::ranges::any_of(writers_, [&](const auto& it) { return it.files > 0; }))
        note(journal::Severity::warning, "taper", "there is no further volume: " + reason);
      return feed(drive::NoVolume{reason, writer});
    }
    const auto& storage = config_.first_storage();
    writers_.at(writer).bytes = 0;
    writers_.at(writer).files = 0;
    recorder_->record(journal::VolumeStarted{
        loading.volume->label, loading.volume->slot, sequence, storage.name, storage.tapepool,
        recorder_->timestamp(), static_cast<uint64_t>(std::max<int64_t>(storage.tapetype.length_kib, 0))});
    if (auto answer = std::exchange(writers_.at(writer).answer, nullptr)) answer(station_->current(writer));
    feed(VolumeReady{writer});
  });
}

void Runner::Impl::hand_over_volume(const HandOverVolume& command) {
  station_->hand_over(command.from, command.writer);
  auto& from = writers_.at(command.from);
  auto& to = writers_.at(command.writer);
  to.bytes = std::exchange(from.bytes, 0);
  to.files = std::exchange(from.files, 0);
  // Later: commands are being carried out.
  loop_.post([this, alive = alive_.ref(), writer = command.writer] {
    if (alive.expired()) return;
    if (auto answer = std::exchange(writers_.at(writer).answer, nullptr)) answer(station_->current(writer));
  });
}

void Runner::Impl::deny_volume(const DenyVolume& command) {
  auto& writer = writers_.at(command.writer);
  // That no volume was left is not the image's fault: no try is counted.
  if (writer.job) --jobs_.at(*writer.job).writes;
  if (auto answer = std::exchange(writer.answer, nullptr))
    answer(base::fail(ErrorKind::full, command.reason));
}

void Runner::Impl::volume_over(size_t writer, const std::string& message) {
  recorder_->record(journal::VolumeFinished{station_->current(writer).label,
                                            base::to_kib(writers_.at(writer).bytes),
                                            writers_.at(writer).files, message});
  station_->unload(writer);
}

void Runner::Impl::next_volume(JobId id, Answer answer) {
  const size_t writer = jobs_.at(id).writer;
  volume_over(writer, "OK");
  writers_.at(writer).answer = std::move(answer);
  feed(VolumeEnded{writer});
}

}  // namespace headrace::drive
