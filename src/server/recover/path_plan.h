// Which paths to take from which dump of a chain, decided by the dumps' indexes. A directory comes from every
// dump since it was last missing, so that what an incremental says was deleted is deleted; a file from the
// newest dump that has it. Reads index files: blocking, on a worker.
//
// An index lists every directory of its time, but only those files that were dumped: a directory that is gone
// is noticed, a single file that was deleted after its last dump is not, and comes back.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/catalog/catalog.h"

namespace headrace::recover {

// For one image of the chain.
struct ImagePaths {
  bool needed = true;
  std::vector<std::string> members;  // "./sub"; empty: everything
  // There is no index to go by: members need not be in this dump, only in one of the chain.
  bool may_be_missing = false;
};

// `paths` as the operator gave them ("sub/x", "/sub/", "./sub"); empty: everything. One entry for each image.
// Errors (refused): a path that was not there at the time of the newest dump, or cannot be a path below the
// disk's root.
base::Result<std::vector<ImagePaths>> plan_paths(const std::vector<catalog::Image>& chain,
                                                 const std::filesystem::path& indexdir,
                                                 const std::vector<std::string>& paths);

// "sub/x" of "/sub/x", "./sub//x/"; empty for the root.
base::Result<std::string> relative_path(const std::string& path);

}  // namespace headrace::recover
