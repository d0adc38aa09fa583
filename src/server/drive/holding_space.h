// Holding disk space as a run hands it out: the accounting of hold/, plus the images that wait for more.
// Owned by the run's runner. Loop thread.
#pragma once

#include <vector>

#include "base/error.h"
#include "server/hold/holding_disks.h"

namespace headrace::drive {

class HoldingTarget;

class HoldingSpace {
 public:
  explicit HoldingSpace(const std::vector<config::HoldingDisk>& disks) : disks_(disks) {}
  hold::HoldingDisks& disks() { return disks_; }

  // An image was deleted or given up: those that wait try again.
  void freed();
  // `coming`: something under way will free space. When nothing will, those that wait are refused, smallest
  // first, one a call, so that the others may get its room.
  void settle_waiting(bool coming);
  bool anybody_waits() const { return !waiting_.empty(); }

 private:
  friend class HoldingTarget;
  hold::HoldingDisks disks_;
  std::vector<HoldingTarget*> waiting_;
};

}  // namespace headrace::drive
