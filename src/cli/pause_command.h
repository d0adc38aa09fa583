// `headrace pause` and `headrace resume`: close and open the gates of dumps of the run that goes on. No
// counterpart in Amanda. Exit status: 0 what was asked holds now, 1 usage, configuration, no run, or nothing
// to pause.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct PauseOptions {
  std::string config;
  std::vector<std::string> disks;  // HOST [DISK…] …
  std::vector<std::string> overrides;
  bool json = false;
  std::string run = {};  // a timestamp or its beginning; empty: whichever has the dumps
};

int pause(const PauseOptions& options);
int resume(const PauseOptions& options);

}  // namespace headrace::cli
