// Asks all clients of a disklist to check themselves, all at once. Owned by the command; destroying it
// cancels. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/connect.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "loop/loop.h"
#include "wire/selfcheck.h"

namespace headrace::dump {

struct HostCheckResult {
  std::string host;
  std::string problem;                       // it could not be asked; empty: it answered
  std::vector<wire::CheckMessage> messages;  // what it said, problems and all
};

class HostChecks {
 public:
  using Done = std::move_only_function<void(std::vector<HostCheckResult>)>;
  // Borrows all but the disks.
  HostChecks(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
             std::vector<config::DiskListEntry> disks);
  ~HostChecks();
  HostChecks(const HostChecks&) = delete;
  HostChecks& operator=(const HostChecks&) = delete;
  // Results in the order in which the hosts first appear in the disklist.
  void start(Done done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::dump
