// `headrace restore`: gives a disk, a dump or some paths back. Parses nothing itself: the command line's
// words come as options. Exit status: 0 restored and checked, 1 usage or configuration, 2 failed or damaged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headrace::cli {

struct RestoreOptions {
  std::string config;  // a directory or a name
  std::string host, disk;
  std::string to;  // directory; empty with to_stdout
  bool to_stdout = false;
  std::optional<int> level;  // with to_stdout: the newest dump of this level
  std::string at;            // "20261123", "20261123013159", "2026-11-23[ 01:31[:59]]"; empty: now
  std::vector<std::string> paths;
  std::string storage;  // read its copies before others; "HOLDING": those on holding disk
  bool into_existing =
      false;          // `to` may have something in it; an incremental removes what its dump did not have
  bool json = false;  // a summary for programs on standard output (not with to_stdout)
  std::vector<std::string> overrides;  // -o KEY=VALUE
  int64_t now = 0;                     // seconds since 1970; 0: as the clock says
};

int restore(const RestoreOptions& options);

}  // namespace headrace::cli
