// Holds dumps back so that a drive with a lowest speed does not stop: below it a tape runs empty, stops,
// winds back and starts again, which wears tape and drive and takes longer than having waited. Where a held
// image is written to such a drive and its holding disk cannot give it fast enough, since dumps write there
// at the same time, some of these dumps wait. Pure: samples in, whose gates are to be closed out; owned by
// the runner.
//
// Of each holding disk so many dumps are let go on as leave the drive its speed: half as many when it gets
// too little, one more after some seconds of enough. Who waits changes by turns, so that none waits for long.
// Where even without any dump the drive does not get its speed, holding dumps back is of no use: they are let
// go, and left alone for a while.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "server/drive/drive_job.h"

namespace headrace::drive {

class Pacer {
 public:
  // What one writer did since the last sample.
  struct Writing {
    size_t holding_disk = 0;  // from which it reads
    uint64_t kps = 0;
    uint64_t lowest_kps = 0;  // of its drive; 0: any speed will do
    double starved = 0;       // share of the time in which it waited for its holding disk
  };
  struct Dumping {
    JobId id = 0;
    size_t holding_disk = 0;  // to which it writes
  };

  // Once a second. The dumps that wait until the next sample.
  std::set<JobId> sample(std::span<const Writing> writing, std::span<const Dumping> dumping);
  // Whether some holding disk's dumps are left alone, since holding them back was of no use.
  bool of_no_use() const;

 private:
  struct Disk {
    size_t open = 0;  // how many dumps may go on; counts while `paced`
    bool paced = false;
    int calm = 0;                  // samples in a row in which its drives got enough
    int useless = 0;               // in which no dump went on and they did not
    int left_alone = 0;            // samples for which nothing is tried any more
    int turn = 0;                  // samples since who waits changed
    std::vector<JobId> line = {};  // those in front go on
  };
  void judge(Disk& disk, bool too_slow, size_t dumps);

  std::map<size_t, Disk> disks_;
};

}  // namespace headrace::drive
