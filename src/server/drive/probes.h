// Dumps that are made to be measured and thrown away: full ones, recorded nowhere (the client's state and the
// server's catalog stay as they are), each with a gate, cancelled when this is destroyed. For `headrace
// diagnose` when no run goes on. Owned by the command; loop thread. Judges nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/connect.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "loop/loop.h"
#include "server/dump/dump.h"

namespace headrace::drive {

class Probes {
 public:
  // Where the data is thrown away: on the client, as it is read or behind the filters there (Headrace clients
  // alone), when the server has it, or when the holding disk has it.
  enum class Until { source, client, network, holding };

  struct Stand {
    bool runs = false;         // its data flows, or will
    bool flows = false;        // some has come
    std::string problem = {};  // why it does not run; empty: it has come to its end
    uint64_t bytes = 0;
    uint64_t starved_ms = 0, blocked_ms = 0;  // of the joint that says most
    std::optional<uint64_t> at_ms = {};       // when that was so, by the client's clock; unset: now
  };

  // Borrows loop, connector and configuration. `timestamp` names the directories on holding disks.
  Probes(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
         std::vector<config::DiskListEntry> disks, Until until, std::string timestamp);
  // Removes what is on holding disks.
  ~Probes();
  Probes(const Probes&) = delete;
  Probes& operator=(const Probes&) = delete;

  // Asks the clients for their features and starts all dumps. `ready` comes once: when each flows or does not
  // run, or after kMostWait.
  void start(std::move_only_function<void()> ready);
  void open_only(const std::vector<size_t>& open);
  // Parallel to the disks.
  std::vector<Stand> stands() const;

  static constexpr base::Duration kMostWait = std::chrono::seconds(90);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::drive
