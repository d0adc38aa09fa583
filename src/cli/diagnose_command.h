// `headrace diagnose`: who hinders whom. On the dumps of the run that goes on, or, without one, on dumps it
// starts itself and throws away. No counterpart in Amanda. Exit status: 0 measured, 1 usage, configuration,
// nothing to measure, or ended before anything was measured.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct DiagnoseOptions {
  std::string config;
  std::vector<std::string> disks;  // [HOST [DISK…]] …
  std::vector<std::string> overrides;
  double seconds = 3;  // of a phase
  double settle = 1;
  int rounds = 3;
  std::string until;  // without a run: where the data is thrown away; empty: network
  bool json = false;
  std::string run = {};  // a timestamp or its beginning; empty: the one that goes on, or that has the dumps
};

int diagnose(const DiagnoseOptions& options);

}  // namespace headrace::cli
