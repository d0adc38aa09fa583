// Carries a run out: asks, plans, and does what the Drive (drive.h) says with dump/, hold/, volume/ and
// catalog, telling the journal and Amanda's log of each step. Owned by the command; loop thread. Decides
// nothing itself but when to sample progress.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/connect.h"
#include "base/error.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "journal/state.h"
#include "loop/loop.h"
#include "server/drive/other_runs.h"

namespace headrace::drive {

struct RunOptions {
  std::vector<config::DiskListEntry> disks;  // what to dump, already selected
  bool selected = false;                     // the operator named disks: nothing else is flushed
  bool no_volume = false;                    // all stays on holding disk
  std::vector<TakenDisk> taken = {};         // wanted too, but another run has them
  // The whole disklist, for what is held of disks that are not dumped here; empty: `disks` are all.
  std::vector<config::DiskListEntry> listed = {};
};

// One disk of the run, for those who change something while it goes on. What else is known of it is in the
// journal's state.
struct DiskStand {
  const config::DiskListEntry* disk = nullptr;
  const journal::DumpState* dump = nullptr;
  // As it is at this moment, while it flows: what comes from the client, and what is its bottleneck.
  std::optional<journal::Joint> received = {};
  std::string verdict = {};
  uint64_t bytes = 0;
};

enum class PauseOutcome { done, already, over };

// A limit that counts now; names and units as in journal::LimitChanged.
struct LimitInForce {
  std::string limit;
  std::string interface = {}, host = {}, disk = {};
  int64_t value = 0;
  int64_t configured = 0;
};

// What is set is changed.
struct LimitChange {
  std::optional<int64_t> in_parallel = {};
  std::optional<int64_t> netusage_kps = {};  // of `interface`
  std::string interface = "default";
  // HOST [DISK…] …: whose maxdumps and rate. No words: every host's maxdumps, and the rate of the whole run.
  std::vector<std::string> words = {};
  bool exact = false;  // names, no match expressions
  std::optional<int64_t> max_dumps = {};
  // Bytes a second, 0: none. Hosts alone: each host's dumps together; with disks: each of these dumps. Of a
  // disk's limit, its host's and the run's only the first counts.
  std::optional<int64_t> rate = {};
};

class Runner {
 public:
  // Borrows all but the options.
  Runner(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
         RunOptions options);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Opens log and journal, looks after what a crash left, reads histories. Blocking file work.
  base::Result<> begin();
  // `watcher` hears every event as it is recorded. `done` comes once, with the exit status (amdump's bits).
  void start(std::move_only_function<void(const journal::Body&)> watcher,
             std::move_only_function<void(int)> done);
  // Ends the run in order: what is written is finished, what is held stays held.
  void cancel(std::string reason);
  const journal::RunState& state() const;
  const std::string& timestamp() const;

  // --- changes while it runs; after begin(), the indexes being those of disks() ---

  std::vector<DiskStand> disks() const;
  // Indexes of those that HOST [DISK…] … names; `exact`: names, no match expressions.
  base::Result<std::vector<size_t>> select(const std::vector<std::string>& words, bool exact) const;
  // Closes the gate of its dump, or keeps it from starting. `by` is the journal's: several may hold one disk.
  PauseOutcome pause(size_t disk, const std::string& by);
  // Opens it when nobody else holds it. `already`: `by` does not hold it.
  PauseOutcome resume(size_t disk, const std::string& by);
  std::vector<LimitInForce> limits() const;
  // The changed ones, `configured` being the value before. Refused when an interface or a word is not known.
  base::Result<std::vector<LimitInForce>> change_limits(const LimitChange& change);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::drive
