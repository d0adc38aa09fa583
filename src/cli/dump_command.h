// `headrace dump`: one run. Counterpart: amdump. Exit status: 0 all went well, 1 usage or configuration or an
// error of the run itself; else a sum of 2 (strange), 4 (a dump failed), 8 (a disk has no result), 16
// (trouble with volumes), as amdump's. A run that a signal ended has 1 in its sum.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct DumpOptions {
  std::string config;
  std::vector<std::string> disks;  // [HOST [DISK…]]…; empty: all
  std::vector<std::string> overrides;
  bool no_volume = false;  // all stays on holding disk, as amdump's --no-taper
  bool wait = false;       // for other runs that have one of the disks
  bool quiet = false;      // no progress, as amdump
  bool json = false;       // the report as JSON at the end
};

int dump(const DumpOptions& options);

}  // namespace headrace::cli
