// A dump's way to the holding disks: asks for space as the image outgrows its estimate, gives it back when
// the dump fails. Owned by the run, outlives its dump. Loop thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/drive/holding_space.h"
#include "server/dump/dump.h"
#include "server/hold/image_writer.h"

namespace headrace::drive {

class HoldingTarget : public dump::Target, public hold::SpaceSource {
 public:
  // `starving` is called whenever the image begins to wait for space. `lane`: see hold::ImageWriter::Options.
  HoldingTarget(loop::Loop& loop, HoldingSpace& space, hold::Reservation reservation,
                std::string date_directory, std::move_only_function<void()> starving,
                std::optional<uint64_t> lane = {});
  ~HoldingTarget() override;

  base::Result<loop::Writable*> open(const wire::DumpHeader& header) override;
  void finish(const wire::DumpHeader& header, std::move_only_function<void(base::Result<>)> done) override;
  void abandon() override;
  void more_room_wanted() override;
  void disk_full(hold::DiskIndex disk, uint64_t used_kib) override;

  // After a good finish(): the image's first file, and what it takes.
  const std::filesystem::path& file() const { return file_; }
  hold::Reservation take_reservation() { return std::move(reservation_); }
  // After abandon(): a holding disk would not take the image, whatever its client did.
  bool disk_failed() const { return disk_failed_; }
  // On which holding disk it has room last promised to it.
  hold::DiskIndex disk() const { return reservation_.pieces.back().disk; }
  uint64_t written_bytes() const { return writer_ ? writer_->data_bytes() : 0; }
  // How long the image has waited for the holding disks to have room, all in all.
  base::Duration waited_for_room() const;

 private:
  friend class HoldingSpace;
  bool try_extend();
  void refuse();

  loop::Loop& loop_;
  HoldingSpace& space_;
  hold::Reservation reservation_;
  std::string date_directory_;
  std::optional<uint64_t> lane_;
  std::move_only_function<void()> starving_;
  std::unique_ptr<hold::ImageWriter> writer_;
  std::filesystem::path file_;
  bool settled_ = false;
  bool disk_failed_ = false;
  base::Duration waited_{};                        // before the wait that goes on
  std::optional<base::Instant> waits_since_ = {};  // set while it waits
};

}  // namespace headrace::drive
