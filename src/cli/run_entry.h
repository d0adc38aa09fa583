// How a run begins beside others of its configuration: which disks it may have. Complains on stderr;
// blocking.
#pragma once

#include <optional>
#include <vector>

#include "cli/server_context.h"
#include "server/drive/other_runs.h"

namespace headrace::cli {

struct RunEntry {
  drive::OtherRuns others;                   // keep it until the run has begun
  std::vector<config::DiskListEntry> disks;  // that nobody else has
  std::vector<drive::TakenDisk> taken;
};

// Nothing, when others have all of `disks`, or when they cannot be asked. `wait`: until nobody has any of
// them, however long that takes; a signal that ends the program ends that, too.
std::optional<RunEntry> enter_run(const ServerContext& context,
                                  const std::vector<config::DiskListEntry>& disks, bool wait);

}  // namespace headrace::cli
