// What tonight begins with: histories, capacity and estimates put together for the plan, read from the
// server's files. The reading blocks (at the start of a run, before anything moves); the rest is pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/disklist.h"
#include "config/server_config.h"
#include "server/catalog/catalog.h"
#include "server/drive/estimates.h"
#include "server/hold/scan.h"
#include "server/plan/plan.h"

namespace headrace::drive {

struct Night {
  std::vector<config::DiskListEntry> disks;  // parallel to inputs.dles
  plan::PlanInputs inputs;
  std::vector<plan::Decision> decisions;
  std::vector<std::string> warnings;  // what could not be read
};

// Which of the disklist's disks a night is about.
enum class Disks : unsigned char { all, selected };

// Reads info files and catalog. `holding_kib` is what the holding disks can take.
Night begin_night(const config::ServerConfig& config, std::vector<config::DiskListEntry> disks, Disks which,
                  const std::string& timestamp, uint64_t holding_kib);

// By its dump-limit: a server's run dumps only what lets a server start it. As Amanda has it, also when the
// client is the server itself.
bool server_may_start(const config::Dumptype& type);
// "its dump-limit (same-host) lets no server start its dump".
std::string why_not_started(const config::Dumptype& type);

std::vector<EstimateWish> wishes_of(const Night& night);

// Answers for make_plan, gathered as they come.
class Answers {
 public:
  explicit Answers(const Night& night);
  void take(const EstimateAnswer& answer);
  // Hosts that cannot be reached refuse all their disks; so do disks that Headrace cannot dump.
  void take(const HostOutcomes& hosts);
  const std::vector<plan::Answer>& answers() const { return answers_; }

 private:
  const Night& night_;
  std::vector<plan::Answer> answers_;
};

}  // namespace headrace::drive
