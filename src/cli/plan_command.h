// `headrace plan`: what a run would do tonight, and why, without doing it. Asks the clients for estimates as
// a run does; writes nothing. Counterpart: Amanda's planner, run by hand. Exit status: 0 planned, 1 usage or
// configuration, 4 a disk could not be planned.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct PlanOptions {
  std::string config = {};
  std::vector<std::string> disks = {};  // [HOST [DISK…]]…; empty: all
  std::vector<std::string> overrides = {};
  std::string at = {};     // as if the run began then (8 or 14 digits); empty: now
  unsigned nights = 1;     // how many are foreseen, tonight counted
  bool clients = true;     // false: nobody is asked, sizes come from history
  bool estimates = false;  // also what the clients answered, level by level
  bool json = false;
};

int plan(const PlanOptions& options);

}  // namespace headrace::cli
