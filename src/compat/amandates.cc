#include "compat/amandates.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "base/file.h"
#include "base/quote.h"

namespace headrace::compat {
namespace {

constexpr int kHighestLevel = 399;
constexpr size_t kMaxFileBytes = size_t{64} << 20U;

template <class T>
bool read_number(std::string_view text, T& into) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, into);
  return error == std::errc() && stop == end;
}

// Waits: whoever holds it only rewrites a small file. A lock of the open file, so that two threads of one
// process exclude each other too.
base::Result<> lock_file(int fd, const std::filesystem::path& path) {
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  while (::fcntl(fd, F_OFD_SETLKW, &whole) != 0) {
    if (errno != EINTR) return base::fail_errno(fmt::format("lock {}", path.native()));
  }
  return {};
}

base::Result<> rewrite(int fd, const std::string& text, const std::filesystem::path& path) {
  // In place and without truncating first: a reader of the real program never sees an empty file.
  if (::lseek(fd, 0, SEEK_SET) < 0) return base::fail_errno(fmt::format("seek {}", path.native()));
  if (auto wrote = base::write_all(fd, text, path.native()); !wrote) return wrote;
  if (::ftruncate(fd, static_cast<off_t>(text.size())) != 0) {
    return base::fail_errno(fmt::format("truncate {}", path.native()));
  }
  return {};
}

}  // namespace

Amandates Amandates::parse(std::string_view text) {
  Amandates dates;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto words = base::split_quoted(line);
    int level = 0;
    int64_t date = 0;
    if (words.size() != 3 || !read_number(words[1], level) || !read_number(words[2], date)) continue;
    if (level < 0 || level > kHighestLevel) continue;
    dates.note(base::unquote(words[0]), level, date);
  }
  return dates;
}

std::string Amandates::text() const {
  std::string out;
  for (const auto& [disk, levels] : dates_) {
    for (const auto& [level, date] : levels) out += fmt::format("{} {} {}\n", base::quote(disk), level, date);
  }
  return out;
}

int64_t Amandates::date_of(const std::string& disk, int level) const {
  auto found = dates_.find(disk);
  if (found == dates_.end()) return 0;
  auto at = found->second.find(level);
  return at == found->second.end() ? 0 : at->second;
}

void Amandates::note(const std::string& disk, int level, int64_t start_seconds) {
  int64_t& date = dates_[disk][level];
  date = std::max(date, start_seconds);
}

base::Result<> record_dump_date(const std::filesystem::path& amandates, const DumpDate& dump) {
  auto fd = base::open_file(amandates, O_RDWR);
  if (!fd && fd.error().sys_errno() == ENOENT) {
    // Not exclusive would truncate what somebody else just made; exclusive loses that race harmlessly.
    auto made = base::create_file(amandates, 0644, true);
    fd = made || made.error().sys_errno() != EEXIST ? std::move(made) : base::open_file(amandates, O_RDWR);
  }
  if (!fd) return std::unexpected(std::move(fd).error());
  if (auto locked = lock_file(fd->get(), amandates); !locked) return locked;
  auto text = base::read_file(amandates, kMaxFileBytes);
  if (!text) return std::unexpected(std::move(text).error());
  auto dates = Amandates::parse(*text);
  dates.note(dump.disk, dump.level, dump.start_seconds);
  return rewrite(fd->get(), dates.text(), amandates);
}

}  // namespace headrace::compat
