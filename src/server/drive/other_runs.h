// Runs of the same configuration that go on while another begins, Amanda's among them, and the disks they
// have not done with: no disk is dumped twice at once, since both would write the same state on its client
// and the same record here. Volumes, holding directories and the tapelist have locks of their own. Blocking
// file work, at the beginning of a run.
//
// What is alive is known by locks that the kernel drops with its process (journal/file.h), so a run that was
// killed is in nobody's way. Amanda's runs have none: their log names the processes, which are looked for by
// number and name. Her programs look for no other run: an amdump that is started later dumps all its disks.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "config/disklist.h"
#include "config/server_config.h"

namespace headrace::drive {

struct OtherRun {
  std::string timestamp;
  int64_t pid = 0;
  std::string hostname;
  bool amanda = false;
  std::set<std::pair<std::string, std::string>> disks;  // host and disk: not done with yet
  // "the run of 20261123005515 (process 4711 on vm)"
  std::string text() const;
};

struct TakenDisk {
  std::string host, disk;
  std::string reason;  // a sentence that names the run
};

struct OtherRuns {
  // Nobody else can begin a run of this configuration before it is gone; keep it until the journal of the
  // new run names its disks.
  base::FileLock beginning;
  std::vector<OtherRun> runs;

  // Those of `disks` that some run has.
  std::vector<TakenDisk> taken(std::span<const config::DiskListEntry> disks) const;
};

// Waits up to `patience_ms` for another run that is just beginning. Error again: that one does not get on.
base::Result<OtherRuns> find_other_runs(const config::ServerConfig& config, int patience_ms);

}  // namespace headrace::drive
