// What the run logs said when they were last read, for whoever loads the catalog again and again: a log is
// read once more only when its file is another one or has changed. Owned by who loads; as many logs stay in
// memory as were ever asked for. Blocking file work.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>

#include "base/error.h"
#include "compat/run_log.h"

namespace headrace::catalog {

class LogMemory {
 public:
  // The lines about images.
  base::Result<std::shared_ptr<const compat::ParsedLog>> load(const std::filesystem::path& file);
  // How many files were read, whole.
  uint64_t files_read() const { return files_read_; }

 private:
  // Of a file, as it was before it was read.
  struct Stamp {
    ino_t inode = 0;
    off_t size = 0;
    int64_t modified_ns = 0;
    int64_t changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Known {
    Stamp stamp;
    std::shared_ptr<const compat::ParsedLog> log;
  };
  std::map<std::filesystem::path, Known> known_;
  uint64_t files_read_ = 0;
};

}  // namespace headrace::catalog
