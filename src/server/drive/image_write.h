// One image on its way from holding disk to volumes: read, checked against its CRC, written in parts. Owned
// by the runner, destroyed after its outcome; destroying it earlier gives the image up. Loop thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "base/alive.h"
#include "flow/pump.h"
#include "server/drive/volume_desk.h"
#include "server/hold/image_reader.h"
#include "server/volume/part_writer.h"
#include "wire/dump_header.h"

namespace headrace::drive {

struct WriteOutcome {
  base::Result<> result;
  int parts = 0;       // whole ones, also when it failed
  uint64_t bytes = 0;  // in them
  base::CrcAndSize crc;
  double seconds = 0;
  bool volume_lost = false;  // the volume cannot be used any more
  bool unreadable = false;   // the image is at fault, not the volume
};

class ImageWrite : public volume::PartOwner {
 public:
  // `header` is that of the image's first chunk, whole.
  ImageWrite(loop::Loop& loop, VolumeDesk& desk, size_t writer, std::filesystem::path file,
             wire::DumpHeader header, volume::PartOptions options, uint64_t lane);
  ~ImageWrite() override;

  void start(LoadedVolume volume, std::move_only_function<void(WriteOutcome)> done);
  void abort(std::string why);
  uint64_t bytes() const;
  const flow::Meter* meter() const { return pump_ ? &pump_->meter() : nullptr; }

  void volume_wanted() override;
  void part_done(const volume::PartResult& part) override;

 private:
  void run(volume::PartPosition from, LoadedVolume volume);
  void pumped(base::Result<> outcome);
  void go_on(volume::PartPosition from);
  void settle();
  void end(base::Result<> outcome, bool volume_lost, bool unreadable);

  loop::Loop& loop_;
  VolumeDesk& desk_;
  size_t number_;  // of the writer
  std::filesystem::path file_;
  wire::DumpHeader header_;
  volume::PartOptions options_;
  uint64_t lane_;
  base::Instant began_;
  uint64_t began_at_ = 0;  // bytes on volumes before the current pump
  std::unique_ptr<hold::ImageReader> reader_;
  std::unique_ptr<volume::PartWriter> writer_;
  std::unique_ptr<flow::Pump> pump_;
  std::move_only_function<void(WriteOutcome)> done_;
  bool over_ = false;
  base::Alive alive_;
};

}  // namespace headrace::drive
