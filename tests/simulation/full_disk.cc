#include "full_disk.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace headrace::simulation {

namespace {

struct Filled {
  std::string directory;  // with a slash behind
  uint64_t bytes_left = 0;
};
std::optional<Filled> filled;
bool lies = false;
uint64_t refused = 0;

template <class Function>
Function* next_of(const char* name) {
  auto* found = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
  HEADRACE_CHECK(found != nullptr);
  return found;
}

bool is_below(int fd) {
  if (!filled) return false;
  std::array<char, PATH_MAX> path{};
  const ssize_t length =
      ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
  return length > 0 &&
         std::string_view(path.data(), static_cast<size_t>(length)).starts_with(filled->directory);
}

// How many of `wanted` bytes at `offset` may be written; what the file has already needs no room.
uint64_t room_for(int fd, uint64_t wanted, off_t offset) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return wanted;
  const auto end = static_cast<uint64_t>(offset) + wanted;
  const auto size = static_cast<uint64_t>(st.st_size);
  const uint64_t more = end > size ? std::min(end - size, wanted) : 0;
  const uint64_t given = std::min(more, filled->bytes_left);
  filled->bytes_left -= given;
  if (given < more) ++refused;
  return wanted - (more - given);
}

}  // namespace

void FullDisk::fill(const std::filesystem::path& directory, uint64_t bytes_left) {
  filled = Filled{directory.native() + "/", bytes_left};
}
void FullDisk::empty() { filled.reset(); }
void FullDisk::lie(bool on) { lies = on; }
uint64_t FullDisk::refusals() { return refused; }

static ssize_t write_what_fits(int fd, const iovec* pieces, int count, off_t offset) {
  static auto* const next = next_of<ssize_t(int, const iovec*, int, off_t)>("pwritev");
  if (!is_below(fd)) return next(fd, pieces, count, offset);
  uint64_t wanted = 0;
  for (int i = 0; i < count; ++i) wanted += pieces[i].iov_len;
  const uint64_t fits = room_for(fd, wanted, offset);
  if (fits == wanted) return next(fd, pieces, count, offset);
  if (lies) return static_cast<ssize_t>(wanted);
  if (fits == 0) {
    errno = ENOSPC;
    return -1;
  }
  // As the kernel does it: a part is written, and the next call fails.
  const iovec first{pieces[0].iov_base, std::min<size_t>(pieces[0].iov_len, fits)};
  filled->bytes_left += fits - first.iov_len;
  return next(fd, &first, 1, offset);
}

}  // namespace headrace::simulation

// The names are the C library's.
extern "C" {

ssize_t pwritev(int fd, const iovec* pieces, int count, off_t offset) {
  return headrace::simulation::write_what_fits(fd, pieces, count, offset);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  const iovec piece{const_cast<void*>(bytes), size};
  return headrace::simulation::write_what_fits(fd, &piece, 1, offset);
}

int statvfs(const char* path, struct statvfs* answer) noexcept {
  static auto* const next = headrace::simulation::next_of<int(const char*, struct statvfs*)>("statvfs");
  const int result = next(path, answer);
  const auto& filled = headrace::simulation::filled;
  if (result == 0 && filled && (std::string(path) + "/").starts_with(filled->directory))
    answer->f_bavail = std::min<fsblkcnt_t>(answer->f_bavail, filled->bytes_left / answer->f_frsize);
  return result;
}
}
