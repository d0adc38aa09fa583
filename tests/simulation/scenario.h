// What a simulated site is like and what happens to it, as a value: read from a file, or drawn from a seed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "sim/sim_machine.h"
#include "sim/sim_network.h"

namespace headrace::simulation {

struct Scenario {
  std::string name = "drawn";
  int64_t nights = 5;
  // Every so many nights, and at the end, each disk is restored from its full on; in the others what was read
  // before at the same place is not read again. Greater than 0.
  int64_t whole_restores_every = 1;
  size_t hosts = 2;
  size_t disks = 2;   // of each host
  size_t files = 10;  // of a disk, on average, in the first night
  uint64_t file_bytes = 1500;
  unsigned changed_per_mille = 150;  // of a disk's files, each day
  int64_t grows_every = 0;           // nights; 0: never

  int64_t dumpcycle_days = 4;
  int64_t tapecycle = 8;
  int64_t runtapes = 2;
  int64_t in_parallel = 4;
  int64_t max_dumps = 2;
  int64_t volume_kib = 2000;
  int64_t holding_kib = 4000;      // 0: no holding disk
  std::string configuration = {};  // further lines of amanda.conf

  // What goes wrong; of so many (machines a night, nights, …) one on average, 0: never.
  sim::SimWay way = {};
  sim::SimFaults machines = {};
  unsigned machine_down_one_in = 0;
  unsigned crash_one_in = 0;         // nights in which the server's program dies at some step
  unsigned volumes_late_one_in = 0;  // nights in which the changer comes hours late, or not at all
  unsigned clock_step_one_in = 0;    // nights in which the clock is set by up to an hour, either way
  unsigned holiday_one_in = 0;       // days on which nothing changes
  unsigned no_run_one_in = 0;        // nights without a run

  // Nothing is set above that may keep a dump from being made and written.
  bool is_calm() const;
};

// A file of scenarios/: one JSON object, the names as above. Errors name the file and the member.
base::Result<Scenario> load_scenario(const std::filesystem::path& file);
// Some small site with some trouble.
Scenario draw_scenario(uint64_t seed);

// A deliberate bug, or the damage that one would do, to prove that the checks see it.
enum class Sabotage {
  none,
  lying_client,    // sends half of a dump, and the checksum of the half
  early_reuse,     // volumes are written over before tapecycle others were
  lost_part,       // a file of a volume is removed
  stray_holding,   // something stays on holding disk
  more_dumps,      // than inparallel and maxdumps allow
  forgotten_disk,  // one of the disklist is not dumped
  late_fulls,      // the cycle is longer than asked for
};
base::Result<Sabotage> sabotage_named(const std::string& name);

}  // namespace headrace::simulation
