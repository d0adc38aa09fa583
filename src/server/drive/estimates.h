// Asks all clients for their features and for the sizes of tonight's candidates, all hosts at once; then, for
// levels without a value, by the next method that the disk's `estimate` names. Owned by the run; destroying
// it cancels. Loop thread. Decides nothing (server/plan).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "auth/connect.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "loop/loop.h"
#include "wire/features.h"

namespace headrace::drive {

struct EstimateWish {
  config::DiskListEntry entry;  // its `estimate` says by which methods, one after the other
  std::vector<int> levels;
};

struct EstimateAnswer {
  std::string host, disk;
  int level = 0;
  int64_t kib = -1;             // -1: no value; -2: the client says that this level is impossible
  std::string problem = {};     // why there is no value
  bool said_by_client = false;  // the problem, in the client's words; else it is that no answer came
  std::string warning = {};
  // Of a value: by which method it came, and, if not by the first, why that one gave none.
  config::EstimateMethod method = config::EstimateMethod::client;
  std::string before = {};
};

struct HostOutcome {
  wire::FeatureSet features = wire::FeatureSet::assumed_default();
  // Empty: the client answered. Otherwise the disk cannot be dumped, and this says why.
  std::string problem;
};

// By host and disk: disks of one host may be reached in different ways.
using HostOutcomes = std::map<std::pair<std::string, std::string>, HostOutcome>;

class Estimates {
 public:
  using Answered = std::move_only_function<void(const EstimateAnswer&)>;
  using Done = std::move_only_function<void(HostOutcomes)>;

  // Borrows loop, connector and configuration.
  Estimates(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
            std::string timestamp, std::vector<EstimateWish> wishes);
  ~Estimates();
  Estimates(const Estimates&) = delete;
  Estimates& operator=(const Estimates&) = delete;

  // `answered` exactly once for each wished level of a host that could be reached; then `done` with one
  // outcome for each wish.
  void start(Answered answered, Done done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::drive
