#include "server/drive/volume_target.h"

namespace headrace::drive {

using base::Result;

VolumeTarget::VolumeTarget(loop::Loop& loop, VolumeDesk& desk, size_t writer, LoadedVolume volume,
                           volume::PartOptions options, uint64_t lane)
    : loop_(loop), desk_(desk), number_(writer), volume_(std::move(volume)), options_(options), lane_(lane) {}

VolumeTarget::~VolumeTarget() = default;

Result<loop::Writable*> VolumeTarget::open(const wire::DumpHeader& header) {
  writer_ = std::make_unique<volume::PartWriter>(loop_, lane_, header, options_, *this);
  writer_->use(std::move(volume_.volume), volume_.label);
  return writer_.get();
}

void VolumeTarget::finish(const wire::DumpHeader&, std::move_only_function<void(Result<>)> done) {
  writer_->finish(std::move(done));
}

void VolumeTarget::abandon() {
  if (!writer_) return;
  // A writer that is only given up did not fail.
  volume_failed_ = volume_failed_ || writer_->error().kind() != base::ErrorKind::cancelled;
  writer_->abandon();
}

void VolumeTarget::volume_wanted() {
  desk_.next_volume(number_, [this, alive = alive_.ref()](Result<LoadedVolume> next) {
    if (alive.expired() || !writer_) return;
    if (!next) return writer_->refuse(std::move(next).error());
    writer_->use(next->volume, next->label);
  });
}

}  // namespace headrace::drive
