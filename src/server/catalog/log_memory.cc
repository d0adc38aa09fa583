#include "server/catalog/log_memory.h"

#include <sys/stat.h>

#include <utility>

namespace headrace::catalog {

namespace {

int64_t nanoseconds_of(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

base::Result<std::shared_ptr<const compat::ParsedLog>> LogMemory::load(const std::filesystem::path& file) {
  struct stat st{};
  if (::stat(file.c_str(), &st) != 0) return base::fail_errno("look at " + file.string());
  const Stamp now{st.st_ino, st.st_size, nanoseconds_of(st.st_mtim), nanoseconds_of(st.st_ctim)};
  if (const auto known = known_.find(file); known != known_.end() && known->second.stamp == now)
    return known->second.log;
  auto read = compat::load_run_log(file, compat::LogLines::about_images);
  if (!read) return std::unexpected(std::move(read).error());
  ++files_read_;
  auto log = std::make_shared<const compat::ParsedLog>(std::move(*read));
  known_[file] = {now, log};
  return log;
}

}  // namespace headrace::catalog
