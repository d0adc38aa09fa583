// The reasons of the Drive for programs: words that stay once they were written, and the parameters that a
// wait, a left image or a lost dump hangs on. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/disklist.h"
#include "config/server_config.h"
#include "server/drive/drive.h"

namespace headrace::drive {

std::string_view code_of(Wait why);
std::string_view code_of(Way way);
std::string_view code_of(Left why);
std::string_view code_of(Lost why);
// The code of an image that stays for a storage that this run does not write to.
inline constexpr std::string_view kNotInRun = "not-in-run";

// What is in force now, where it can change while the run goes on.
struct InForce {
  const config::ServerConfig& config;
  const config::DiskListEntry* disk = nullptr;  // null: no longer listed
  int64_t in_parallel = 1;
  int64_t max_dumps = 1;                     // of its host
  int64_t interface_kps = 0;                 // of its interface
  const config::Storage* storage = nullptr;  // that a held image waits for; null: the first one
};
std::vector<journal::Parameter> parameters_of(Wait why, const InForce& now);
std::vector<journal::Parameter> parameters_of(Left why, const config::Storage& storage);
std::vector<journal::Parameter> parameters_of(Lost why, const config::ServerConfig& config,
                                              const config::DiskListEntry* disk);

}  // namespace headrace::drive
