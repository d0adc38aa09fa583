// What every server command begins with: the configuration and its disklist, or their mistakes on stderr.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "auth/connect.h"
#include "config/disklist.h"
#include "config/server_config.h"

namespace headrace::cli {

inline constexpr int kExitUsage = 1;

struct ServerContext {
  config::ServerConfig config;
  std::vector<config::DiskListEntry> disks;
};

// Finds and reads the configuration; prints each mistake (and warning) to stderr as FILE:LINE:COLUMN. Nothing
// when it cannot be used; the command then ends with kExitUsage.
std::optional<ServerContext> load_context(const std::string& name, const std::vector<std::string>& overrides,
                                          bool with_disklist);

// Keeps of the disks those that HOST [DISK…] … name; complains on stderr and gives nothing when an argument
// matches no disk. No arguments: all.
std::optional<std::vector<config::DiskListEntry>> select_disks(
    const std::vector<config::DiskListEntry>& disks, const std::vector<std::string>& arguments);

// "3 disks", "1 disk".
std::string counted(size_t n, const char* noun);

}  // namespace headrace::cli
