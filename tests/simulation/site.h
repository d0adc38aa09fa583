// A simulated site over its nights: machines and network in memory, holding disk and volumes as small files
// in memory, a clock that jumps; over it the real runner with all that is below it. A seed decides everything
// that happens. Owned by the program; single thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "checks.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "scenario.h"
#include "sim/random.h"
#include "sim/sim_machine.h"

namespace headrace::simulation {

class Site {
 public:
  Site(Scenario scenario, uint64_t seed, Sabotage sabotage);
  ~Site();  // removes its files, unless they are kept
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  // All nights. What the checks found stands in faults(); the first one ends the play.
  void play();
  const std::vector<std::string>& faults() const { return checks_.faults(); }
  // Of all that happened, but for what the real machine measured. The same for the same seed.
  uint64_t trace() const { return trace_; }
  // They stay where the answer says.
  const std::filesystem::path& keep_files() {
    keep_files_ = true;
    return root_;
  }
  uint64_t dumps() const { return dumps_; }
  uint64_t restores() const { return checks_.restores(); }
  uint64_t crashes() const { return crashes_; }

 private:
  struct NightOutcome {
    bool ended = false;
    bool crashed = false;
    std::string timestamp;
  };

  std::string configuration_text() const;
  config::ServerConfig load() const;
  void one_night(int64_t night);
  NightOutcome run(int64_t night);
  void add_machines(sim::SimLoop& loop, sim::SimNetwork& network,
                    std::vector<std::unique_ptr<sim::SimMachine>>& machines, const std::string& timestamp,
                    uint64_t seed);
  void look_at(int64_t night, const NightOutcome& outcome);
  void sabotage(int64_t night);

  const Scenario scenario_;
  const Sabotage sabotage_;
  sim::Random random_;
  std::filesystem::path root_;
  config::ServerConfig config_;  // what the runner gets
  std::vector<config::DiskListEntry> disks_;
  std::map<std::string, std::map<std::string, sim::SimDisk>> content_;  // by host and disk
  Checks checks_;
  int64_t wall_ = 1767225600 + 22 * 3600;  // 2026-01-01 22:00 UTC
  uint64_t usual_steps_ = 2000;            // of a night: a crash falls within
  uint64_t trace_ = 14695981039346656037U;
  uint64_t dumps_ = 0;
  uint64_t crashes_ = 0;
  bool keep_files_ = false;
};

}  // namespace headrace::simulation
