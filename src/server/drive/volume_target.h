// A dump's way straight to volumes, without holding disk. Owned by the run, outlives its dump. Loop thread.
#pragma once

#include <memory>

#include "base/alive.h"
#include "server/drive/volume_desk.h"
#include "server/dump/dump.h"
#include "server/volume/part_writer.h"

namespace headrace::drive {

class VolumeTarget : public dump::Target, public volume::PartOwner {
 public:
  VolumeTarget(loop::Loop& loop, VolumeDesk& desk, size_t writer, LoadedVolume volume,
               volume::PartOptions options, uint64_t lane);
  ~VolumeTarget() override;

  base::Result<loop::Writable*> open(const wire::DumpHeader& header) override;
  void finish(const wire::DumpHeader& header, std::move_only_function<void(base::Result<>)> done) override;
  void abandon() override;
  void volume_wanted() override;
  void part_done(const volume::PartResult& part) override {
    volume_failed_ = volume_failed_ || !part.good;
    desk_.part_ended(number_, part);
  }

  // The volume, not the client, ended the dump.
  bool volume_failed() const { return volume_failed_; }
  int parts() const { return writer_ ? writer_->parts() : 0; }

 private:
  loop::Loop& loop_;
  VolumeDesk& desk_;
  size_t number_;  // of the writer
  LoadedVolume volume_;
  volume::PartOptions options_;
  uint64_t lane_;
  std::unique_ptr<volume::PartWriter> writer_;
  bool volume_failed_ = false;
  base::Alive alive_;
};

}  // namespace headrace::drive
