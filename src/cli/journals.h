// Which run's journal a view reads: the newest, the one that goes on, or the one asked for. Blocking file
// calls.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "journal/file.h"

namespace headrace::cli {

struct FoundRun {
  std::filesystem::path path;
  std::string timestamp;
  bool alive = false;  // its process writes it
};

// `wanted` is a timestamp or its beginning ("20261123"): the newest run that has it; empty: the newest run
// that goes on, else the newest of all. Refused when there is none, saying what there is instead.
base::Result<FoundRun> find_run(const std::filesystem::path& logdir, const std::string& wanted);

// The runs that go on, newest first; of many recorded ones the newest ten are looked at.
base::Result<std::vector<FoundRun>> living_runs(const std::filesystem::path& logdir);

// A sentence about a run of Amanda's that is newer than `timestamp` (or any, when that is empty) and has only
// Amanda's log; empty when there is none.
std::string newer_amanda_run(const std::filesystem::path& logdir, const std::string& timestamp);

}  // namespace headrace::cli
