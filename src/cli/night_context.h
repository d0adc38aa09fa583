// What commands about tonight's plan begin with: configuration, histories, and the clients' answers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/server_context.h"
#include "server/drive/night.h"

namespace headrace::cli {

struct NightContext {
  ServerContext server;
  drive::Night night;
  std::optional<drive::Answers> answers;  // refers to `night`
};

// `at`: as if the run began then (8 or 14 digits); empty: now. Without `ask_clients` nobody is asked. Tells
// on a terminal how many estimates are still to come. Complains on stderr and gives nothing when the
// configuration or an argument is wrong, or when interrupted.
std::unique_ptr<NightContext> load_night(const std::string& config, const std::vector<std::string>& overrides,
                                         const std::vector<std::string>& disks, const std::string& at,
                                         bool ask_clients);

}  // namespace headrace::cli
