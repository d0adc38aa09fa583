// What a simulated site is like and what happens to it, as a value: read from a file, or drawn from a seed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "sim/sim_machine.h"
#include "sim/sim_network.h"

namespace headrace::simulation {

// What changes about the site itself (unrest.h), of so many nights in one on average; 0: never.
struct Unrest {
  unsigned nobody_one_in = 0;        // before which nobody is there for days: no runs
  unsigned renamed_one_in = 0;       // … a disk is listed under another name
  unsigned relisted_one_in = 0;      // … a disk leaves the disklist, or a new one comes
  unsigned reconfigured_one_in = 0;  // … something in amanda.conf is changed
  bool any_strategy = false;         // … the strategy too
  unsigned volumes_away_one_in = 0;  // from which on there is no changer for some nights
  unsigned clock_wrong_one_in = 0;   // in which the clock is off by days
  unsigned holding_gone_one_in = 0;  // in which a holding disk is not there, or vanishes
  unsigned second_run_one_in = 0;    // in which somebody dumps some disks beside the night's run
};

// One of several storages, with a changer and volumes of its own.
struct StorageSetup {
  std::string tag = {};        // of the disks it selects; empty: of all
  std::string levels = "ALL";  // or FULL, INCR
  int64_t runtapes = 2;
  int64_t parallel_writes = 1;
  int64_t volume_kib = 2000;
};

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
  int64_t holding_disks = 1;       // each of holding_kib
  std::string configuration = {};  // further lines of amanda.conf
  // Empty: one, by the figures above. Of several, the night's run writes to some (several.h).
  std::vector<StorageSetup> storages = {};
  unsigned storage_idle_one_in = 0;  // nights in which a storage is not written to, but kept for
  unsigned storage_away_one_in = 0;  // … in which the volumes of one that is not the first are not there

  bool client_compresses = false;
  bool by_datagrams = false;  // auth "bsd" instead of "bsdtcp"
  unsigned datagrams_lost_one_in = 0;
  unsigned datagrams_doubled_one_in = 0;

  // What goes wrong; of so many (machines a night, nights, …) one on average, 0: never.
  sim::SimWay way = {};
  sim::SimFaults machines = {};
  unsigned machine_down_one_in = 0;
  unsigned crash_one_in = 0;         // nights in which the server's program dies at some step
  unsigned volumes_late_one_in = 0;  // nights in which the changer comes hours late, or not at all
  unsigned clock_step_one_in = 0;    // nights in which the clock is set by up to an hour, either way
  unsigned holiday_one_in = 0;       // days on which nothing changes
  unsigned no_run_one_in = 0;        // nights without a run
  unsigned others_fill_one_in = 0;   // nights in which others fill up a holding disk's file system

  Unrest unrest = {};

  // Nothing is set above that may keep a dump from being made and written.
  bool is_calm() const;
};

// A file of scenarios/: one JSON object, the names as above. Errors name the file and the member.
base::Result<Scenario> load_scenario(const std::filesystem::path& file);
// Some small site with some trouble.
Scenario draw_scenario(uint64_t seed);
// The same site with some unrest in it, and some nights more.
Scenario draw_unrest(uint64_t seed);
// A site of draw_unrest() with what only larger sites have.
Scenario draw_wide(uint64_t seed);
// The same with compressing clients, and holding disks that others fill.
Scenario draw_mixed(uint64_t seed);

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
  double_run,      // two runs dump a disk at once
  stale_rules,     // every night is run by the configuration of the first
  lost_holding,    // a holding disk loses what it has
  falling_names,   // runs forget what the last one was called
  lost_history,    // the volumes of a disk that left the disklist lose its dumps
  one_storage,     // the runs know nothing of any storage but the first
  lost_copy,       // a file of another storage than the first is removed
  deaf_disk,       // a holding disk that is full takes what is written, and loses it
};
base::Result<Sabotage> sabotage_named(const std::string& name);

}  // namespace headrace::simulation
