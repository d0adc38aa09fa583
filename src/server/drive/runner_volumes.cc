// The runner's volumes, and the images on their way from holding disk to them.
#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "server/drive/runner_impl.h"
#include "server/hold/scan.h"

namespace headrace::drive {

using base::ErrorKind;
using base::Result;

volume::PartOptions Runner::Impl::parts_of(const JobInfo& job, size_t storage) const {
  const config::Dumptype defaults;
  return volume::part_options(storage_at(storage).tapetype,
                              job.disk != nullptr ? job.disk->dumptype : defaults);
}

void Runner::Impl::write_image(const WriteImage& command) {
  const JobId id = command.id;
  const size_t writer = command.writer;
  const size_t number = storage_of(writer);
  JobInfo& job = jobs_.at(id);
  CopyInfo& copy = job.copies[number];
  ++copy.writes;
  copy.writer = writer;
  writers_.at(writer).job = id;
  const auto& storage = storage_at(number);
  recorder_->record(
      journal::ImageWriteStarted{job.image, storage.name, storage.tapepool, volume_at(writer).label});
  copy.write = std::make_unique<ImageWrite>(loop_, *this, writer, job.file, job.header, parts_of(job, number),
                                            lane_at(writer));
  job.watched.judgement.reset();
  copy.watched.begin(PathShape{.from_holding = true, .to_volume = true});
  copy.write->start(volume_at(writer), [this, id, number](WriteOutcome outcome) {
    write_ended(id, number, std::move(outcome));
  });
}

void Runner::Impl::part_ended(size_t writer, const volume::PartResult& part) {
  auto& of = writers_.at(writer);
  JobInfo& job = jobs_.at(*of.job);
  CopyInfo& copy = copy_at(job, writer);
  const auto& storage = storage_at(of.storage);
  const double seconds = std::chrono::duration<double>(part.duration).count();
  of.bytes += part.bytes;
  ++of.files;
  if (!part.good) {
    return recorder_->record(journal::PartFailed{job.image, storage.name, storage.tapepool, part.label,
                                                 static_cast<uint64_t>(part.file), part.part, part.bytes,
                                                 seconds, part.why});
  }
  if (!copy.first_part) copy.first_part = {part.label, part.file};
  recorder_->record(journal::PartWritten{job.image, storage.name, storage.tapepool, part.label,
                                         static_cast<uint64_t>(part.file), part.part, -1, part.bytes, seconds,
                                         job.header.orig_size_kib});
}

void Runner::Impl::write_ended(JobId id, size_t number, WriteOutcome outcome) {
  JobInfo& job = jobs_.at(id);
  CopyInfo& copy = job.copies[number];
  if (outcome.result && copy.write && copy.write->meter() != nullptr) {
    sample_write(job, number, copy);
    measured_rates_.add(journal::rate_of_write(storage_at(number).name, recorder_->timestamp(), outcome.bytes,
                                               copy.watched.watch->joints()));
  }
  copy.watched.end();
  auto spent = std::make_shared<std::unique_ptr<ImageWrite>>(std::move(copy.write));
  loop_.post([spent] { spent->reset(); });
  const auto& storage = storage_at(number);
  writers_.at(copy.writer).job.reset();
  if (!outcome.result) {
    if (outcome.volume_lost && volume_at(copy.writer).volume)
      volume_over(copy.writer, outcome.result.error().what());
    const bool again = !outcome.unreadable && copy.writes < kWriteTries && !cancelled_;
    recorder_->record(journal::ImageWriteFailed{job.image, storage.name, storage.tapepool,
                                                copy.first_part.has_value(), outcome.parts, outcome.bytes,
                                                outcome.seconds, outcome.result.error().what(), again});
    copy.first_part.reset();
    return feed(
        ImageFailed{id, outcome.result.error().what(), outcome.volume_lost, outcome.unreadable, number});
  }
  recorder_->record(journal::ImageWritten{job.image, storage.name, storage.tapepool, outcome.parts,
                                          outcome.bytes, outcome.seconds, job.header.orig_size_kib,
                                          job.header.native_crc, job.header.client_crc, outcome.crc});
  image_safe(id, number);
}

// As long as one volume of it is known it can be found; the first that has it is named.
void Runner::Impl::note_taped(JobInfo& job, const CopyInfo& copy) {
  if (!copy.first_part || std::exchange(job.known_taped, true)) return;
  history_->taped(job.image, copy.first_part->first, copy.first_part->second);
}

// The image is on volumes of this storage. When every storage that wants it has it, now, and only now, its
// holding files may go.
void Runner::Impl::image_safe(JobId id, size_t number) {
  JobInfo& job = jobs_.at(id);
  CopyInfo& copy = job.copies[number];
  note_taped(job, copy);
  copy.wanted = false;
  if (!recorder_->failure().empty()) {
    // A volume of which no log speaks is no copy.
    job.stays = true;
    note(journal::Severity::warning, "driver",
         fmt::format("{} is kept, since the log of its writing is incomplete", job.file.native()));
    return feed(ImageWritten{id, number});
  }
  if (!job.stays && std::ranges::none_of(job.copies, &CopyInfo::wanted)) return delete_image(id, number);
  orders_->done(job.file, storage_at(number).name);
  feed(ImageWritten{id, number});
}

void Runner::Impl::delete_image(JobId id, size_t number) {
  auto outcome = std::make_shared<Result<>>();
  loop_.offload(
      loop_.new_lane(),
      [file = jobs_.at(id).file, log = recorder_->log_path(), outcome] {
        // The log's word about the volume must outlast a power failure before the copy here goes.
        if (auto synced = base::sync_file(log); !synced) {
          *outcome = std::move(synced);
          return;
        }
        auto image = hold::read_image(file);
        *outcome = image ? hold::delete_image(*image) : Result<>(std::unexpected(image.error()));
      },
      [this, alive = alive_.ref(), id, number, outcome] {
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
        orders_->done(written.file, storage_at(number).name);
        space_.freed();
        feed(ImageWritten{id, number});
        if (!drive_->finished()) feed(SpaceFreed{});
      });
}

void Runner::Impl::find_volume(size_t number) {
  auto& it = storages_[number];
  if (!it.station) return feed(VolumeSought{it.no_station, number});
  it.station->find([this, number](VolumeStation::Finding finding) {
    for (auto& line : finding.notes) note(journal::Severity::info, "taper", std::move(line));
    feed(VolumeSought{std::move(finding.why_none), number});
  });
}

void Runner::Impl::load_volume(const LoadVolume& command) {
  const size_t writer = command.writer;
  const size_t number = storage_of(writer);
  auto& it = storages_[number];
  if (!it.station) return feed(drive::NoVolume{it.no_station, writer});
  it.station->load(writer - it.first_writer, [this, writer, number,
                                              sequence = command.sequence](VolumeStation::Loading loading) {
    for (auto& line : loading.notes) note(journal::Severity::info, "taper", std::move(line));
    if (!loading.volume) {
      const std::string reason = loading.volume.error().what();
      const auto wrote = [number](const auto& one) { return one.storage == number && one.files > 0; };
      if (std::ranges::any_of(writers_, wrote))
        note(journal::Severity::warning, "taper",
             fmt::format("there is no further volume{}: {}", of_storage(number), reason));
      return feed(drive::NoVolume{reason, writer});
    }
    const auto& storage = storage_at(number);
    writers_.at(writer).bytes = 0;
    writers_.at(writer).files = 0;
    recorder_->record(journal::VolumeStarted{
        loading.volume->label, loading.volume->slot, sequence, storage.name, storage.tapepool,
        recorder_->timestamp(), static_cast<uint64_t>(std::max<int64_t>(storage.tapetype.length_kib, 0))});
    if (auto answer = std::exchange(writers_.at(writer).answer, nullptr)) answer(volume_at(writer));
    feed(VolumeReady{writer});
  });
}

void Runner::Impl::hand_over_volume(const HandOverVolume& command) {
  auto& it = storages_[storage_of(command.writer)];
  it.station->hand_over(command.from - it.first_writer, command.writer - it.first_writer);
  auto& from = writers_.at(command.from);
  auto& to = writers_.at(command.writer);
  to.bytes = std::exchange(from.bytes, 0);
  to.files = std::exchange(from.files, 0);
  // Later: commands are being carried out.
  loop_.post([this, alive = alive_.ref(), writer = command.writer] {
    if (alive.expired()) return;
    if (auto answer = std::exchange(writers_.at(writer).answer, nullptr)) answer(volume_at(writer));
  });
}

void Runner::Impl::deny_volume(const DenyVolume& command) {
  auto& writer = writers_.at(command.writer);
  // That no volume was left is not the image's fault: no try is counted.
  if (writer.job) --copy_at(jobs_.at(*writer.job), command.writer).writes;
  if (auto answer = std::exchange(writer.answer, nullptr))
    answer(base::fail(ErrorKind::full, command.reason));
}

void Runner::Impl::volume_over(size_t writer, const std::string& message) {
  recorder_->record(journal::VolumeFinished{volume_at(writer).label, base::to_kib(writers_.at(writer).bytes),
                                            writers_.at(writer).files, message});
  auto& it = storages_[storage_of(writer)];
  it.station->unload(writer - it.first_writer);
}

void Runner::Impl::next_volume(size_t writer, Answer answer) {
  volume_over(writer, "OK");
  writers_.at(writer).answer = std::move(answer);
  feed(VolumeEnded{writer});
}

}  // namespace headrace::drive
