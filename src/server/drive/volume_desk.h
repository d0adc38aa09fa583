// What writers of images ask of the run while they write: another volume, and a word about each part. Loop
// thread.
#pragma once

#include <functional>

#include "base/error.h"
#include "server/drive/drive.h"
#include "server/drive/volume_station.h"
#include "server/volume/part_writer.h"

namespace headrace::drive {

class VolumeDesk {
 public:
  virtual ~VolumeDesk() = default;
  // The volume of this writer of the run has come to its end. Answered later, with the next one or with why
  // there is none.
  using Answer = std::move_only_function<void(base::Result<LoadedVolume>)>;
  virtual void next_volume(size_t writer, Answer answer) = 0;
  virtual void part_ended(size_t writer, const volume::PartResult& part) = 0;
};

}  // namespace headrace::drive
