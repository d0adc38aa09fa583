// What earlier runs left behind: a journal without an end, images cut off by a crash, held images that never
// got to a volume. Found and put in order at the start of a run. Blocking file work.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "config/server_config.h"
#include "journal/event.h"
#include "server/hold/scan.h"

namespace headrace::drive {

struct Leftovers {
  std::vector<journal::LeftoverFound> found;  // for the report
  std::vector<hold::Image> to_flush;          // whole images that this run is to write
  std::set<std::string> dead_runs = {};       // timestamps of runs that died
  // Date directories of the images to flush: this process's own now, to be left (hold::leave) at the end.
  std::vector<std::filesystem::path> claimed = {};
};

// Images of a run that died are flushed always, others as autoflush says; none that another process is about
// to flush.
Leftovers find_leftovers(const config::ServerConfig& config);

}  // namespace headrace::drive
