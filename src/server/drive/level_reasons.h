// Why a disk is dumped at its level, for programs: words that stay once they were written, and the parameters
// that the level hangs on. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "config/disklist.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "server/plan/plan.h"

namespace headrace::drive {

std::string_view code_of(plan::Why why);
// What of the configuration would have to be another value for another level. Empty where that is another
// thing: a wish of the operator's, a dump that is gone.
std::vector<journal::Parameter> parameters_of(plan::Why why, const config::DiskListEntry& disk,
                                              const config::ServerConfig& config);

}  // namespace headrace::drive
