// `headrace report`: what a run did; the counterpart of amreport. Prints to stdout. Exit status as
// amreport's, a sum of: 1 usage, configuration, no run to report, an error of the run, or it did not finish;
// 2 strange messages; 4 a dump failed; 8 a disk has no result; 16 trouble with volumes. 0: all went well.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

// `timestamp`: of the run, or its beginning ("20261123": that day's last run); empty: the last run.
int report(const std::string& config, const std::string& timestamp, bool json,
           const std::vector<std::string>& overrides = {});

}  // namespace headrace::cli
