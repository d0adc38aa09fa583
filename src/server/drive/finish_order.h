// In which order a night's dumps start so that the run ends soonest. Pure.
//
// What has most still behind it starts first: a dump has its own time and that of its image on the way to a
// volume; one of many disks of a host, or of a spindle, has theirs too, as far as they cannot go on beside
// it. So no long dump, and no host with much to do, is left for the end of the night, when nothing else
// could fill the time.
//
// Where writing all of it to volumes takes longer than dumping it, the volumes must not wait: as long as less
// is held than they write in the time of the longest dump, what comes in fastest starts first.
//
// The rules were chosen by playing simulated years (tests/simulation/timed).
#pragma once

#include <cstdint>
#include <vector>

#include "server/drive/drive_job.h"

namespace headrace::drive {

// What is left of a night.
struct NightRest {
  std::vector<const Job*> waiting = {};  // in the order of the schedule
  std::vector<const Job*> running = {};
  uint64_t held_kib = 0;    // held, and not yet whole on volumes
  int64_t in_parallel = 1;  // dumps at a time
  uint64_t volume_kps = 0;  // what the writers take together; 0: not known
};

// The ids of `rest.waiting`: by priority, then the order to start in, ties as given.
std::vector<JobId> finish_order(const NightRest& rest);

}  // namespace headrace::drive
