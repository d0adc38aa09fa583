// What several commands print of a plan for programs.
#pragma once

#include <nlohmann/json.hpp>

#include "config/disklist.h"
#include "config/server_config.h"
#include "server/plan/plan.h"

namespace headrace::cli {

// One way to dump a disk, with its reason as a sentence and as a word with the parameters it hangs on.
nlohmann::ordered_json level_json(const plan::PlannedLevel& level, const config::DiskListEntry& disk,
                                  const config::ServerConfig& config);

}  // namespace headrace::cli
