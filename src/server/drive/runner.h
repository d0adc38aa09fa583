// Carries a run out: asks, plans, and does what the Drive (drive.h) says with dump/, hold/, volume/ and
// catalog, telling the journal and Amanda's log of each step. Owned by the command; loop thread. Decides
// nothing itself but when to sample progress.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "journal/state.h"
#include "loop/loop.h"

namespace headrace::drive {

struct RunOptions {
  std::vector<config::DiskListEntry> disks;  // what to dump, already selected
  bool selected = false;                     // the operator named disks: nothing else is flushed
};

class Runner {
 public:
  // Borrows loop and config.
  Runner(loop::Loop& loop, const config::ServerConfig& config, RunOptions options);
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

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::drive
