// `headrace status`: how the run that goes on, or the last one, stands; the counterpart of amstatus. Prints
// to stdout. Exit status: 0 all is well so far; 1 usage, configuration, no run to show, an error of the run,
// or it did not finish; else a sum of 2 strange messages, 4 a dump failed, 8 a disk has no result, 16 trouble
// with volumes.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

// `follow`: goes on until the run ends; redraws on a terminal, else prints a line for each thing that happens
// (with `json`: each event as a line of the journal's format).
// `run`: a timestamp or its beginning; empty: all that go on (to follow: the newest of them), else the
// newest.
int status(const std::string& config, bool follow, bool json, const std::vector<std::string>& overrides = {},
           const std::string& run = "");

}  // namespace headrace::cli
