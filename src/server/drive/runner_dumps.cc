// The runner's dumps, from their start to their outcome.
#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "server/drive/reasons.h"
#include "server/drive/runner_impl.h"
#include "server/dump/dle_of.h"
#include "server/dump/peer_of.h"

namespace headrace::drive {

using base::Error;
using base::ErrorKind;

namespace {

// How long a client may take to answer a request for a dump, as Amanda's dumper waits.
constexpr auto kDumpReplyTimeout = std::chrono::seconds(60);
// How long a client that asks to be called later is left alone.
constexpr auto kLeastDelay = std::chrono::seconds(1);
constexpr auto kMostDelay = std::chrono::seconds(12 * 3600);
// Client messages that go into journal and log.
constexpr size_t kMaxMessages = 200;

}  // namespace

void Runner::Impl::start_dump(const StartDump& command) {
  const JobId id = command.id;
  JobInfo& job = jobs_.at(id);
  auto peer = dump::peer_of(config_, *job.disk);
  if (!peer) return feed(DumpFailed{id, DumpFailed::Kind::refused, peer.error().what(), false});
  job.attempt = command.attempt;
  job.to = command.to;
  dump::Target* target = nullptr;
  if (command.to == journal::Destination::holding) {
    const auto planned =
        std::ranges::find_if(state().dumps, [&](const auto& d) { return d.image == job.image; });
    const uint64_t estimate = planned == state().dumps.end() ? 0 : planned->est_stored_kib;
    auto reservation = space_.disks().reserve(std::max(estimate, hold::kLeastKib));
    if (!reservation) return feed(HoldingRefused{id});
    if (!job.holding_lane) job.holding_lane = loop_.new_lane();
    job.holding_target = std::make_unique<HoldingTarget>(
        loop_, space_, std::move(*reservation), recorder_->timestamp(), [this] { settle_waiting(); },
        job.holding_lane);
    target = job.holding_target.get();
  } else {
    const size_t writer = job.writer = command.writer;
    writers_.at(writer).job = id;
    const LoadedVolume& volume = volume_at(writer);
    const size_t storage = storage_of(writer);
    job.volume_target =
        std::make_unique<VolumeTarget>(loop_, *this, writer, volume, parts_of(job, storage), lane_at(writer));
    target = job.volume_target.get();
    recorder_->record(journal::ImageWriteStarted{job.image, storage_at(storage).name,
                                                 storage_at(storage).tapepool, volume.label});
  }
  recorder_->record(
      journal::DumpStarted{job.image, job.attempt, job.to, {}, std::string(code_of(command.way))});

  dump::DumpRequest request;
  request.peer = std::move(*peer);
  request.host = job.disk->host;
  request.dle = dump::dle_of(*job.disk);
  request.dle.levels = {{job.image.level, false, {}}};
  request.timestamp = job.image.timestamp;
  request.config = config_.name;
  request.dump_user = config_.globals.dumpuser;
  request.client_features = hosts_[{job.disk->host, job.disk->disk}].features;
  request.times = dump::times_of(config_, kDumpReplyTimeout);
  request.data_timeout = config_.globals.dtimeout;
  request.index = {config_.globals.indexdir, job.image.host, job.image.disk, job.image.timestamp,
                   job.image.level};
  request.index_form = {config_.globals.compress_index, config_.globals.sort_index};
  request.max_messages = kMaxMessages;
  job.dump = std::make_unique<dump::Dump>(loop_, connector_, std::move(request), *target);
  job.watched.begin(path_of(*job.disk, command.to));
  job.dump->set_throttle(throttle_of(*job.disk));
  job.held_back = false;
  if (is_paused(*job.disk)) job.dump->gate().close();
  job.dump->start([this, id](dump::DumpOutcome outcome) { dump_ended(id, std::move(outcome)); });
}

void Runner::Impl::dump_ended(JobId id, dump::DumpOutcome outcome) {
  JobInfo& job = jobs_.at(id);
  // A dump too short for a sample gets its one now.
  if (job.dump && !job.dump->meters().empty()) sample_dump(job);
  if (outcome.result.has_value() && job.watched.watch)
    measured_rates_.add(journal::rate_of_dump(job.image, base::to_kib(outcome.stored_bytes), outcome.seconds,
                                              job.watched.watch->joints()));
  job.watched.end();
  if (job.volume_target) writers_.at(job.writer).job.reset();
  // The dump may be what called us.
  auto spent = std::make_shared<std::unique_ptr<dump::Dump>>(std::move(job.dump));
  if (outcome.result.has_value()) {
    dump_good(id, job, outcome);
  } else {
    spent->reset();
    dump_bad(id, job, std::move(outcome));
  }
  loop_.post([spent] { spent->reset(); });
}

void Runner::Impl::dump_good(JobId id, JobInfo& job, const dump::DumpOutcome& outcome) {
  job.header = outcome.header;
  job.stored_kib = base::to_kib(outcome.stored_bytes);
  job.dump_seconds = outcome.seconds;
  journal::DumpFinished finished;
  finished.image = job.image;
  finished.attempt = job.attempt;
  finished.native_kib = outcome.native_kib;
  finished.stored_kib = job.stored_kib;
  finished.seconds = outcome.seconds;
  finished.native_crc = outcome.native_crc;
  finished.client_crc = outcome.client_crc;
  finished.server_crc = outcome.server_crc;
  finished.strange = outcome.strange;
  finished.messages = outcome.messages;
  recorder_->record(finished);
  if (job.full_elsewhere) history_->full_elsewhere_before(job.image);
  history_->dumped(job.image, {job.image.level, static_cast<int64_t>(outcome.native_kib),
                               static_cast<int64_t>(job.stored_kib), outcome.seconds,
                               base::unix_of_timestamp(job.image.timestamp),
                               job.disk->dumptype.compress != config::Compress::none});
  if (job.to == journal::Destination::holding) {
    job.file = job.holding_target->file();
    job.reservation = job.holding_target->take_reservation();
    const auto storages = wanting(job);
    recorder_->record(journal::ImageHeld{job.image, job.file, job.stored_kib, outcome.seconds,
                                         outcome.server_crc, storages});
    want(job, storages);
    return feed(DumpHeld{id, job.stored_kib});
  }
  WriteOutcome written;
  written.parts = job.volume_target->parts();
  written.bytes = outcome.stored_bytes;
  written.seconds = outcome.seconds;
  const auto& storage = storage_at(storage_of(job.writer));
  recorder_->record(journal::ImageWritten{
      job.image, storage.name, storage.tapepool, written.parts, written.bytes, written.seconds,
      job.header.orig_size_kib, job.header.native_crc, job.header.client_crc, job.header.server_crc});
  note_taped(job, copy_at(job, job.writer));
  tell_who_goes_without(job);
  feed(DumpWritten{id});
}

// What went straight to one storage is nowhere else to be copied from.
void Runner::Impl::tell_who_goes_without(const JobInfo& job) {
  const size_t has_it = storage_of(job.writer);
  std::string others;
  for (const size_t storage : selecting(job.disk->dumptype, job.image.level))
    if (storage != has_it) others += (others.empty() ? "" : ", ") + storage_at(storage).name;
  if (others.empty()) return;
  note(journal::Severity::info, "driver",
       fmt::format("{} {} went straight to storage {}; {} will not get it (a holding disk would let it)",
                   job.image.host, base::quote(job.image.disk), storage_at(has_it).name, others));
}

void Runner::Impl::dump_bad(JobId id, JobInfo& job, dump::DumpOutcome outcome) {
  const Error error = outcome.result.error();
  DumpFailed failed{id, DumpFailed::Kind::failed, error.what(), false};
  if (error.kind() == ErrorKind::refused) failed.kind = DumpFailed::Kind::refused;
  if (error.kind() == ErrorKind::full && job.to == journal::Destination::holding) {
    failed.kind = DumpFailed::Kind::no_space;
  }
  if (job.holding_target && job.holding_target->disk_failed()) {
    failed.kind = DumpFailed::Kind::no_space;
    note(journal::Severity::warning, "driver",
         fmt::format("its holding disk is not used any more in this run: {}", error.what()));
  }
  if (job.volume_target) direct_dump_failed(job, failed);
  if (outcome.retry && !cancelled_) postpone(id, *outcome.retry, failed);
  job.holding_target.reset();
  job.volume_target.reset();
  for (auto& copy : job.copies) copy.first_part.reset();
  const int64_t tries = job.disk->dumptype.retry_dump;
  const bool again = failed.kind == DumpFailed::Kind::postpone ||
                     (failed.kind != DumpFailed::Kind::refused && job.attempt < tries && !cancelled_);
  recorder_->record(
      journal::DumpFailed{job.image, job.attempt, error.what(), std::move(outcome.messages), again});
  feed(failed);
}

// What it left on volumes belongs to no image, and a volume that failed is not used again.
void Runner::Impl::direct_dump_failed(JobInfo& job, DumpFailed& failed) {
  if (job.volume_target->volume_failed()) {
    // The dump itself may go well on another volume.
    failed.kind = DumpFailed::Kind::failed;
    failed.volume_lost = true;
    if (volume_at(job.writer).volume) volume_over(job.writer, failed.message);
  }
  const bool partial = copy_at(job, job.writer).first_part.has_value();
  if (!failed.volume_lost && !partial) return;
  const auto& storage = storage_at(storage_of(job.writer));
  recorder_->record(journal::ImageWriteFailed{job.image, storage.name, storage.tapepool, partial,
                                              job.volume_target->parts(), 0, 0, failed.message, false});
}

// The client asks to be called again later, perhaps for another level.
void Runner::Impl::postpone(JobId id, const wire::Retry& retry, DumpFailed& failed) {
  JobInfo& job = jobs_.at(id);
  failed.kind = DumpFailed::Kind::postpone;
  if (retry.level >= 0 && retry.level <= compat::kMaxDumpLevel) job.image.level = retry.level;
  const auto delay = std::clamp<int64_t>(retry.delay_seconds, kLeastDelay.count(), kMostDelay.count());
  job.timer = loop_.after(std::chrono::seconds(delay), [this, id] { feed(Released{id}); });
}

}  // namespace headrace::drive
