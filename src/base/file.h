// Small blocking file helpers for configuration, state and logs (not for dump data: see flow/). Files and
// directories that root creates take the owner of the directory they are made in, so that a server started as
// root leaves files the dump user's tools can read. Every descriptor is close-on-exec.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace headrace::base {

// open(2) with O_CLOEXEC added; the error names the path.
Result<Fd> open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);
// Creates (O_CREAT|O_EXCL when `exclusive`, else O_CREAT|O_TRUNC) for writing; owner as said above.
Result<Fd> create_file(const std::filesystem::path& path, mode_t mode, bool exclusive);
// mkdir -p; owner as said above for each directory made.
Result<> make_directories(const std::filesystem::path& path, mode_t mode);

Result<std::string> read_file(const std::filesystem::path& path, size_t limit_bytes = 64U << 20U);
// Writes all, retrying short writes and EINTR.
Result<> write_all(int fd, std::string_view text, std::string_view name);
// Writes `path` whole or not at all: temporary file `temporary` beside it, fsync, rename.
Result<> replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode,
                      std::string_view temporary_suffix = ".new");
// Appends in one write(2) under an fcntl write lock on the file, creating it with `mode` when missing.
Result<> append_locked(const std::filesystem::path& path, std::string_view text, mode_t mode = 0600);
// fsync(2) of a file that others may be appending to.
Result<> sync_file(const std::filesystem::path& path);
Result<> remove_file(const std::filesystem::path& path);
Result<> rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

// An fcntl write lock on a file of its own, held until destroyed. Waits up to `patience_ms`, then says who
// holds it. fcntl locks belong to the process: two in one process do not exclude each other.
class FileLock {
 public:
  static Result<FileLock> take(const std::filesystem::path& path, int patience_ms);
  // The locked file, open for reading and writing. Closing any other descriptor of the file drops the lock.
  int descriptor() const { return fd_.get(); }

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace headrace::base
