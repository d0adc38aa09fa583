// GNU tar's listed-incremental snapshots of one disk, named and placed as Amanda does, so that either program
// finds the other's: <directory>/<host><mangled disk>_<level>. A dump works on a copy ("….new") of the newest
// lower level's snapshot, which takes the level's name only after the dump succeeded; whatever else happens
// to a dump, the snapshot of its level stays. Blocking file calls: use on a worker thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace headrace::compat {

// A snapshot being worked on. While it lives nobody else, in any process, works on the same file.
class WorkingSnapshot {
 public:
  const std::filesystem::path& path() const { return path_; }
  // Level whose snapshot it was copied from; -1: none was there, tar will see an empty one.
  int base_level() const { return base_level_; }

 private:
  friend class GnutarState;
  WorkingSnapshot(std::filesystem::path path, base::Fd lock, int base_level)
      : path_(std::move(path)), lock_(std::move(lock)), base_level_(base_level) {}
  std::filesystem::path path_;
  base::Fd lock_;
  int base_level_;
};

class GnutarState {
 public:
  // `host` is used byte for byte (see check_host). `directory` is Amanda's gnutar-list-dir.
  GnutarState(std::filesystem::path directory, std::string host, std::string_view disk);

  // A host that would lead out of the directory is refused.
  static base::Result<> check_host(std::string_view host);

  std::filesystem::path path_of(int level) const;

  // Copies the snapshot of the newest level below `level` (none for level 0) to "….new". Refused while
  // another dump of this disk and level runs.
  base::Result<WorkingSnapshot> prepare_dump(int level) const;
  // The same under a name of its own ("….est.new"), so that an estimate never meets a dump. The caller
  // discards it.
  base::Result<WorkingSnapshot> prepare_estimate(int level) const;

  // The dump is complete: the working snapshot becomes the level's. On disk when this returns.
  base::Result<> promote(const WorkingSnapshot& snapshot, int level) const;
  // Removes the file.
  static base::Result<> discard(const WorkingSnapshot& snapshot);

 private:
  base::Result<WorkingSnapshot> prepare(std::filesystem::path working, int level) const;
  base::Result<int> fill(int target, std::string_view name, int level) const;

  std::filesystem::path directory_;
  std::string stem_;
};

}  // namespace headrace::compat
