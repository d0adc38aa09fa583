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
#include "copies.h"
#include "journal/event.h"
#include "journal/state.h"
#include "scenario.h"
#include "server/catalog/catalog.h"
#include "server/catalog/log_memory.h"
#include "server/recover/volumes.h"
#include "sim/sim_machine.h"
#include "unrest.h"

namespace headrace::simulation {

class Checks {
 public:
  using Dle = std::pair<std::string, std::string>;  // host, disk

  Checks(const Scenario& scenario, std::vector<std::filesystem::path> holding)
      : holding_(std::move(holding)),
        rules_(Rules::of(scenario)),
        copies_(scenario),
        least_tapecycle_(scenario.tapecycle) {}

  void fault(std::string text);
  const std::vector<std::string>& faults() const { return faults_; }
  uint64_t restores() const { return restores_; }
  // Of these, how many lack something that the plan had warned of.
  uint64_t lacking() const { return lacking_; }
  uint64_t copies() const { return copies_.compared(); }
  uint64_t images_read() const { return images_read_; }
  // The night's rules; those of the nights before count on where they must.
  void night_begins(int64_t night, const Rules& rules);
  // The disk stands in the disklist from this night on.
  void listed(const Dle& dle) { listed_since_[dle] = night_; }
  // … and does so no more.
  void unlisted(const Dle& dle) { copies_.forgotten(dle); }

  // A run has begun: names rise, whatever the clock says.
  void run_begins(const std::string& timestamp);
  // … or was refused while the clock said that.
  void run_refused(int64_t clock, const base::Error& why);
  // A machine made an archive for the run that asked last: this is what it gives back.
  void sent(const Dle& dle, int level, const sim::SimFiles& files);
  // While the run of that time goes on: the limits, what other runs do, and what is written over.
  void event(const std::string& run, const journal::Body& body);
  // Each disk that the run was to dump has exactly one outcome; what is good is remembered.
  void outcomes(const journal::RunState& state, const std::vector<config::DiskListEntry>& wanted, bool ended);
  // Volumes that a run labelled, and died before it could say so, are written too.
  void volumes(const config::ServerConfig& config);
  // Nothing is left on holding disk that nobody speaks of. `unseen`: a holding disk that no run of the night
  // has seen; empty: none.
  void holding(const std::filesystem::path& unseen);
  // In a calm site no disk goes without a full for longer than its cycle, as long as the volumes of each run
  // were enough.
  void cycle(const std::vector<config::DiskListEntry>& listed);
  // Every disk there ever was can be had back as its newest good dump has it. `whole`: by whole chains from
  // the media; else what was read before at the same place is taken as it was then, and only what is new is
  // read.
  void restore_all(const config::ServerConfig& config, bool whole);

 private:
  struct Good {
    std::string timestamp;
    int level = 0;
    int64_t night_of_full = -1;
    std::string full;       // its run
    bool may_lack = false;  // the plan says so: it builds on a full that failed
    // On the volumes of one storage, by the run that wrote it.
    struct Copy {
      std::vector<std::string> labels;
      std::string run;
    };
    std::vector<Copy> copies = {};
    void add_copies(const journal::DumpState& dump, const std::string& by);
  };

  void restore(recover::Volumes& volumes, const catalog::Catalog& catalog, const Dle& dle);
  bool read_chain(recover::Volumes& volumes, const std::vector<catalog::Image>& chain, const Dle& dle);
  std::vector<catalog::Image> increments(const catalog::Catalog& catalog, const Dle& dle) const;
  bool lacks_only_what_failed(const Dle& dle, const std::string& timestamp, const sim::SimFiles& files,
                              const sim::SimFiles& expected) const;
  void wrote(const std::string& run, const std::string& label);
  // Of volumes whose labels begin so, up to the dash.
  size_t labels_since(const std::string& prefix, const std::string& run) const;
  bool is_written_over(const Good& good) const;
  bool may_be_written_over(const Dle& dle, const std::string& since) const;

  const std::vector<std::filesystem::path> holding_;
  catalog::LogMemory logs_;
  Rules rules_;
  Copies copies_;
  int64_t least_tapecycle_;      // in force at any time
  int64_t settled_ = 0;          // from this night on the cycle is kept again
  std::string newest_run_ = {};  // its name
  std::vector<std::string> faults_;
  int64_t night_ = 0;
  std::map<Dle, std::map<std::pair<std::string, int>, sim::SimFiles>> sent_;
  std::map<Dle, Good> good_;  // the newest
  std::map<Dle, int64_t> listed_since_;
  std::map<std::string, std::set<Dle>> running_;  // by run
  std::map<Dle, std::string> asked_by_;           // the run that dumped it last
  struct Written {
    std::string label;
    std::string run;
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
  uint64_t lacking_ = 0;
  uint64_t images_read_ = 0;
};

}  // namespace headrace::simulation
