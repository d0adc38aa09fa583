#include "compat/gnutar_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/quote.h"

namespace headrace::compat {
namespace {

constexpr int kEstimateNames = 16;
constexpr size_t kCopyBytes = size_t{256} << 10U;

// Opens without truncating: another process may be using the file.
base::Result<base::Fd> open_working(const std::filesystem::path& path) {
  auto fd = base::open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (!fd || ::geteuid() != 0) return fd;
  struct stat parent{};
  // Root's files take the directory's owner, so that the dump user's tools can go on with them. Where that is
  // impossible the file still serves.
  if (::stat(path.parent_path().c_str(), &parent) == 0) {
    [[maybe_unused]] const int ignored = ::fchown(fd->get(), parent.st_uid, parent.st_gid);
  }
  return fd;
}

bool lock_exclusively(int fd) {
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  // An open-file-description lock: it also keeps two dumps of one process apart.
  return ::fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

bool still_named(int fd, const std::filesystem::path& path) {
  struct stat opened{};
  struct stat named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

// The file, opened and locked; nothing when somebody else has it.
base::Result<std::optional<base::Fd>> claim(const std::filesystem::path& path) {
  for (;;) {
    auto fd = open_working(path);
    if (!fd) return std::unexpected(std::move(fd).error());
    if (!lock_exclusively(fd->get())) {
      if (errno == EAGAIN || errno == EACCES) return std::optional<base::Fd>();
      return base::fail_errno(fmt::format("lock {}", path.string()));
    }
    // Its last user may have renamed or removed it between our open and our lock.
    if (still_named(fd->get(), path)) return std::optional<base::Fd>(std::move(*fd));
  }
}

base::Result<> copy_all(int from, int to, std::string_view name) {
  std::vector<char> buffer(kCopyBytes);
  for (;;) {
    ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno(fmt::format("read {}", name));
    if (got == 0) return {};
    auto wrote = base::write_all(to, std::string_view(buffer.data(), static_cast<size_t>(got)), name);
    if (!wrote) return wrote;
  }
}

base::Result<> sync_path(const std::filesystem::path& path, int flags) {
  auto fd = base::open_file(path, flags);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (::fsync(fd->get()) != 0) return base::fail_errno(fmt::format("fsync {}", path.string()));
  return {};
}

}  // namespace

GnutarState::GnutarState(std::filesystem::path directory, std::string host, std::string_view disk)
    : directory_(std::move(directory)), stem_(std::move(host) + base::mangle(disk)) {}

base::Result<> GnutarState::check_host(std::string_view host) {
  if (host.empty() || host.find('/') != std::string_view::npos || host.find('\0') != std::string_view::npos) {
    return base::fail(base::ErrorKind::refused,
                      fmt::format("host name {} cannot be part of a file name", base::quote(host)));
  }
  return {};
}

std::filesystem::path GnutarState::path_of(int level) const {
  return directory_ / fmt::format("{}_{}", stem_, level);
}

base::Result<int> GnutarState::fill(int target, std::string_view name, int level) const {
  if (::ftruncate(target, 0) != 0) return base::fail_errno(fmt::format("truncate {}", name));
  for (int lower = level - 1; lower >= 0; --lower) {
    auto from = base::open_file(path_of(lower), O_RDONLY);
    if (!from) {
      if (from.error().sys_errno() == ENOENT) continue;
      return std::unexpected(std::move(from).error());
    }
    auto copied = copy_all(from->get(), target, name);
    if (!copied) return std::unexpected(std::move(copied).error());
    return lower;
  }
  return -1;
}

base::Result<WorkingSnapshot> GnutarState::prepare(std::filesystem::path working, int level) const {
  auto claimed = claim(working);
  if (!claimed) return std::unexpected(std::move(claimed).error());
  if (!*claimed) {
    return base::fail(
        base::ErrorKind::again,
        fmt::format("{} is in use: another run is working on this disk and level", working.string()));
  }
  auto base_level = fill((*claimed)->get(), working.string(), level);
  if (!base_level) return std::unexpected(std::move(base_level).error());
  return WorkingSnapshot(std::move(working), std::move(**claimed), *base_level);
}

base::Result<WorkingSnapshot> GnutarState::prepare_dump(int level) const {
  return prepare(path_of(level).string() + ".new", level);
}

base::Result<WorkingSnapshot> GnutarState::prepare_estimate(int level) const {
  const std::string stem = path_of(level).string() + ".est";
  auto prepared = prepare(stem + ".new", level);
  // Two servers may ask at the same time; neither should have to wait for the other.
  for (int n = 1; n < kEstimateNames && !prepared && prepared.error().kind() == base::ErrorKind::again; ++n) {
    prepared = prepare(fmt::format("{}{}.new", stem, n), level);
  }
  return prepared;
}

base::Result<> GnutarState::promote(const WorkingSnapshot& snapshot, int level) const {
  auto synced = sync_path(snapshot.path(), O_RDONLY);
  if (!synced) return synced;
  auto renamed = base::rename_file(snapshot.path(), path_of(level));
  if (!renamed) return renamed;
  return sync_path(directory_, O_RDONLY | O_DIRECTORY);
}

base::Result<> GnutarState::discard(const WorkingSnapshot& snapshot) {
  return base::remove_file(snapshot.path());
}

}  // namespace headrace::compat
