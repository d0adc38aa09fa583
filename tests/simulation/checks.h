// What must hold after every night of a simulated site, looked at from outside: from the journal, Amanda's
// files, the volumes, and what the machines know they sent. Owned by the site; blocking file work.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/disklist.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "journal/state.h"
#include "scenario.h"
#include "server/catalog/catalog.h"
#include "server/recover/volumes.h"
#include "sim/sim_machine.h"

namespace headrace::simulation {

class Checks {
 public:
  using Dle = std::pair<std::string, std::string>;  // host, disk

  Checks(const Scenario& scenario, std::filesystem::path holding)
      : scenario_(scenario), holding_(std::move(holding)) {}

  void fault(std::string text);
  const std::vector<std::string>& faults() const { return faults_; }
  uint64_t restores() const { return restores_; }
  uint64_t images_read() const { return images_read_; }
  void night_begins(int64_t night) { night_ = night; }

  // A machine made an archive for the run of that time: this is what it gives back.
  void sent(const Dle& dle, const std::string& timestamp, int level, const sim::SimFiles& files) {
    sent_[dle][{timestamp, level}] = files;
  }
  // While the run goes on: the limits, and what is written over.
  void event(const journal::Body& body);
  // Each disk of the disklist has exactly one outcome; what is good is remembered.
  void outcomes(const journal::RunState& state, const std::vector<config::DiskListEntry>& listed, bool ended);
  // Nothing is left on holding disk that nobody speaks of.
  void holding();
  // In a calm site no disk goes without a full for longer than its cycle, as long as the volumes of each run
  // were enough.
  void cycle(const std::vector<config::DiskListEntry>& listed);
  // Every disk can be had back as its newest good dump has it. `whole`: by whole chains from the media;
  // else what was read before at the same place is taken as it was then, and only what is new is read.
  void restore_all(const config::ServerConfig& config, const std::vector<config::DiskListEntry>& listed,
                   bool whole);

 private:
  void restore(recover::Volumes& volumes, const catalog::Catalog& catalog, const Dle& dle);
  bool read_chain(recover::Volumes& volumes, const std::vector<catalog::Image>& chain, const Dle& dle);
  void wrote(const std::string& label);

  const Scenario& scenario_;
  const std::filesystem::path holding_;
  std::vector<std::string> faults_;
  int64_t night_ = 0;
  std::map<Dle, std::map<std::pair<std::string, int>, sim::SimFiles>> sent_;
  struct Good {
    std::string timestamp;
    int level = 0;
    int64_t night_of_full = -1;
  };
  std::map<Dle, Good> good_;  // the newest
  std::set<Dle> running_;
  struct Written {
    std::string label;
    int64_t night = 0;
  };
  std::vector<Written> written_;   // in the order they were written over
  bool short_of_volumes_ = false;  // in some night until now
  std::set<std::string> left_;     // on holding disk, by some run's word
  // A disk's chain as it was last read, image by image.
  struct Restored {
    std::string from;  // the image, and the place it was read from
    sim::SimFiles files;
  };
  std::map<Dle, std::vector<Restored>> restored_;
  uint64_t restores_ = 0;
  uint64_t images_read_ = 0;
};

}  // namespace headrace::simulation
