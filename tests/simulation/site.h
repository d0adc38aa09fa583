// A simulated site over its nights: machines and network in memory, holding disk and volumes as small files
// in memory, a clock that jumps; over it the real runner with all that is below it. A seed decides everything
// that happens. Owned by the program; single thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checks.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "scenario.h"
#include "server/drive/runner.h"
#include "several.h"
#include "sim/random.h"
#include "sim/sim_machine.h"
#include "unrest.h"

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
  // Restores that lack something that the plan had warned of.
  uint64_t lacking() const { return checks_.lacking(); }
  // Copies of one image on several storages that were compared.
  uint64_t copies() const { return checks_.copies(); }
  uint64_t crashes() const { return crashes_; }

 private:
  struct Run;
  struct Stage;  // of one night
  // A run of the night, once it is over.
  struct Played {
    std::string timestamp;
    std::vector<config::DiskListEntry> wanted;
    bool ended = false;
  };

  std::string configuration_text(const Rules& rules) const;
  config::ServerConfig load(const Rules& rules) const;
  void change_site(const NightUnrest& unrest);
  void add_disk(const std::string& host, sim::SimDisk disk);
  void take_disklist();
  void one_night(int64_t night);
  std::vector<Played> run(int64_t night, const NightUnrest& unrest);
  void add_machines(Stage& stage, uint64_t seed);
  void plan_unrest(Stage& stage, const NightUnrest& unrest);
  bool begin_run(Stage& stage, std::unique_ptr<Run> run, drive::RunOptions options);
  void begin_second_run(Stage& stage, uint64_t choice);
  void die(Stage& stage);
  void plan_others(Stage& stage);
  void holding_goes(const std::filesystem::path& directory);
  void holding_comes(const std::filesystem::path& directory);
  void look_at(int64_t night, const std::vector<Played>& played);
  void damage(int64_t night);
  void remove_files_of(size_t storage, const std::string& host, const std::string& disk);
  size_t storages() const { return std::max<size_t>(scenario_.storages.size(), 1); }
  std::vector<std::filesystem::path> vtapes() const;  // by storage

  const Scenario scenario_;
  const Sabotage sabotage_;
  sim::Random random_;
  std::filesystem::path root_;
  std::vector<std::filesystem::path> holding_;
  UnrestSource unrest_;
  StorageSource storage_source_;
  StorageNight storage_night_;
  sim::Random others_;                                       // who share the machine
  config::ServerConfig config_;                              // what the runner gets
  std::vector<std::pair<std::string, std::string>> listed_;  // host and disk
  size_t next_disk_ = 0;                                     // number of the next new one
  std::vector<config::DiskListEntry> disks_;
  std::optional<config::ServerConfig> first_config_;  // the first night's
  config::Dumptype first_dumptype_;
  std::map<std::string, std::map<std::string, sim::SimDisk>> content_;  // by host and disk
  Checks checks_;
  int64_t wall_ = 1767225600 + 22 * 3600;  // 2026-01-01 22:00 UTC
  uint64_t usual_steps_ = 2000;            // of a night: a crash falls within
  uint64_t trace_ = 14695981039346656037U;
  uint64_t dumps_ = 0;
  uint64_t crashes_ = 0;
  std::filesystem::path unseen_ = {};  // the holding disk that was not there tonight
  bool keep_files_ = false;
};

}  // namespace headrace::simulation
