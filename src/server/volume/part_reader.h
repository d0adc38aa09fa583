// One image read back from the parts it has on volumes, as a stream: their data one after the other, headers
// left out. Owned by whoever restores; loop thread. Checks that
// each volume has the label and each part the header it should; checksums are for taps of the flow.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "loop/loop.h"
#include "loop/worker_readable.h"
#include "server/volume/changer.h"
#include "server/volume/volume.h"

namespace headrace::volume {

// What names an image.
struct DumpId {
  std::string host;
  std::string disk;
  int level = 0;
  std::string timestamp;  // of the dump
  bool operator==(const DumpId&) const = default;
  std::string text() const;
};
DumpId id_of(const wire::DumpHeader& header);

// Where one part is.
struct PartPlace {
  std::string label;
  int file = 0;
  int part = 1;
};

// Gives the loaded volume of a label; blocking, called on a worker.
using VolumeOfLabel = std::function<base::Result<std::shared_ptr<Volume>>(const std::string& label)>;
// Loads them from a changer, which outlives it. The label on the volume must be the one wanted.
VolumeOfLabel volumes_of(Changer& changer);

// The parts of an image and a place in them. Blocking; used on one worker at a time, by PartReader.
class PartCursor final : public loop::BlockingSource {
 public:
  PartCursor(VolumeOfLabel volumes, DumpId id, std::vector<PartPlace> parts);

  // The first part's header, opening it when needed.
  base::Result<wire::DumpHeader> header();
  // Up to into.size() bytes; 0 at the end of the last part.
  base::Result<size_t> read(base::MutableBytes into) override;

 private:
  base::Result<> open_part();
  base::Result<> check(const wire::DumpHeader& header, const PartPlace& place) const;

  VolumeOfLabel volumes_;
  DumpId id_;
  std::vector<PartPlace> parts_;
  size_t index_ = 0;  // of the part that is open, or due next
  std::shared_ptr<Volume> volume_;
  std::string loaded_label_;
  std::unique_ptr<PartFile> file_;
};

class PartReader final : public loop::WorkerReadable {
 public:
  // Parts in order, from 1. `lane` is the lane of the volumes; all their calls are made on it.
  PartReader(loop::Loop& loop, uint64_t lane, VolumeOfLabel volumes, DumpId id, std::vector<PartPlace> parts);
};

}  // namespace headrace::volume
