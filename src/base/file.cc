#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <mutex>

namespace headrace::base {

namespace fs = std::filesystem;

static void adopt_owner(int fd, const fs::path& parent) {
  struct stat st{};
  if (::geteuid() != 0) return;
  const fs::path directory = parent.empty() ? fs::path(".") : parent;
  if (::stat(directory.c_str(), &st) != 0 || st.st_uid == 0) return;
  // A file that stays root's is still correct; only other tools may then not read it.
  [[maybe_unused]] const int ignored = ::fchown(fd, st.st_uid, st.st_gid);
}

Result<Fd> open_file(const fs::path& path, int flags, mode_t mode) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return fail_errno(fmt::format("open {}", path.native()));
  return fd;
}

Result<Fd> create_file(const fs::path& path, mode_t mode, bool exclusive) {
  auto fd = open_file(path, O_RDWR | O_CREAT | (exclusive ? O_EXCL : O_TRUNC), mode);
  if (fd) adopt_owner(fd->get(), path.parent_path());
  return fd;
}

static Result<> make_missing(const fs::path& path, mode_t mode) {
  std::error_code ignored;
  if (path.empty() || fs::is_directory(path, ignored)) return {};
  if (path.has_parent_path() && path.parent_path() != path) {
    if (auto made = make_missing(path.parent_path(), mode); !made) return made;
  }
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST && fs::is_directory(path, ignored)) return {};
    return fail_errno(fmt::format("mkdir {}", path.native()));
  }
  if (auto fd = open_file(path, O_RDONLY | O_DIRECTORY)) adopt_owner(fd->get(), path.parent_path());
  return {};
}

Result<> make_directories(const fs::path& path, mode_t mode) {
  // One at a time: a directory that another thread has made, and not yet given its owner, would hand root's
  // ownership down to what is made in it.
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  return make_missing(path, mode);
}

Result<std::string> read_file(const fs::path& path, size_t limit_bytes) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return std::unexpected(std::move(fd).error());
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(fd->get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(fmt::format("read {}", path.native()));
    if (n == 0) return text;
    if (text.size() + static_cast<size_t>(n) > limit_bytes) {
      return fail(ErrorKind::refused, fmt::format("{}: larger than {} bytes", path.native(), limit_bytes));
    }
    text.append(buffer, static_cast<size_t>(n));
  }
}

Result<> write_all(int fd, std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(fmt::format("write {}", name));
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> replace_file(const fs::path& path, std::string_view text, mode_t mode,
                      std::string_view temporary_suffix) {
  fs::path temporary = path;
  temporary += temporary_suffix;
  auto fd = create_file(temporary, mode, false);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (auto written = write_all(fd->get(), text, temporary.native()); !written) return written;
  if (::fsync(fd->get()) != 0) return fail_errno(fmt::format("fsync {}", temporary.native()));
  return rename_file(temporary, path);
}

Result<> append_locked(const fs::path& path, std::string_view text, mode_t mode) {
  // Mostly it is there: a run log gets thousands of lines.
  auto fd = open_file(path, O_RDWR | O_APPEND);
  if (!fd && fd.error().sys_errno() == ENOENT) {
    fd = open_file(path, O_RDWR | O_CREAT | O_APPEND, mode);
    if (fd) adopt_owner(fd->get(), path.parent_path());
  }
  if (!fd) return std::unexpected(std::move(fd).error());
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  while (::fcntl(fd->get(), F_SETLKW, &lock) != 0) {
    if (errno != EINTR) return fail_errno(fmt::format("lock {}", path.native()));
  }
  return write_all(fd->get(), text, path.native());
}

Result<> sync_file(const fs::path& path) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (::fsync(fd->get()) != 0) return fail_errno(fmt::format("fsync {}", path.native()));
  return {};
}

Result<> remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0) return fail_errno(fmt::format("unlink {}", path.native()));
  return {};
}

Result<> rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return fail_errno(fmt::format("rename {} to {}", from.native(), to.native()));
  }
  return {};
}

Result<FileLock> FileLock::take(const fs::path& path, int patience_ms) {
  std::error_code ignored;
  const bool fresh = !fs::exists(path, ignored);
  auto fd = open_file(path, O_RDWR | O_CREAT, 0600);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (fresh) adopt_owner(fd->get(), path.parent_path());
  int pause_ms = 2;
  for (int waited = 0;; waited += pause_ms, pause_ms = std::min(pause_ms * 2, 200)) {
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd->get(), F_SETLK, &lock) == 0) return FileLock(std::move(*fd));
    if (errno != EAGAIN && errno != EACCES) return fail_errno(fmt::format("lock {}", path.native()));
    if (waited >= patience_ms) {
      lock.l_type = F_WRLCK;
      const bool known = ::fcntl(fd->get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
      return fail(ErrorKind::again,
                  fmt::format("{} is locked by process {}", path.native(), known ? lock.l_pid : 0));
    }
    ::poll(nullptr, 0, pause_ms);
  }
}

}  // namespace headrace::base
