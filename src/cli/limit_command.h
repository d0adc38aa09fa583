// `headrace limit`: shows or changes the limits of the run that goes on. No counterpart in Amanda. Exit
// status: 0 shown or changed, 1 usage, configuration or no run to change.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace headrace::cli {

struct LimitOptions {
  std::string config;
  std::vector<std::string> disks;  // [HOST [DISK…]] …: whose maxdumps and rate; empty: all
  std::vector<std::string> overrides;
  std::optional<int> in_parallel, max_dumps;
  std::string netusage, rate;  // as parse_rate takes them; empty: not given
  std::string interface = "default";
  bool json = false;
  std::string run = {};  // a timestamp or its beginning; empty: the one that goes on, or that has the dumps
};

int limit(const LimitOptions& options);

}  // namespace headrace::cli
