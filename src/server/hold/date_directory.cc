#include "server/hold/date_directory.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/file.h"

namespace headrace::hold {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;

static int number_at(std::string_view name, size_t begin, size_t count) {
  int value = 0;
  for (const char c : name.substr(begin, count)) value = value * 10 + (c - '0');
  return value;
}

bool is_date_name(std::string_view name) {
  if (name.size() != 8 && name.size() != 14) return false;
  if (!std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) return false;
  const auto within = [&](size_t begin, size_t count, int low, int high) {
    const int value = number_at(name, begin, count);
    return value >= low && value <= high;
  };
  if (!within(0, 4, 1990, 2100) || !within(4, 2, 1, 12) || !within(6, 2, 1, 31)) return false;
  return name.size() == 8 || (within(8, 2, 0, 23) && within(10, 2, 0, 59) && within(12, 2, 0, 59));
}

static DateOwner owner_in(const std::string& text) {
  DateOwner owner;
  const auto [_, error] = std::from_chars(text.data(), text.data() + text.size(), owner.pid);
  if (error != std::errc() || owner.pid <= 0) return {};
  if (owner.pid == ::getpid() || owner.pid == ::getppid()) {
    owner.who = DateOwner::Who::us;
  } else if (::kill(owner.pid, 0) == 0 || errno != ESRCH) {
    owner.who = DateOwner::Who::other;
  }
  return owner;
}

DateOwner owner_of(const fs::path& date_directory) {
  const auto text = base::read_file(date_directory / kPidFile, 64);
  if (!text) {
    // No pid file. One that cannot be read may belong to anybody: hands off.
    if (text.error().sys_errno() == ENOENT) return {};
    return {DateOwner::Who::other, 0};
  }
  return owner_in(*text);
}

Result<> make_date_directory(const fs::path& date_directory) {
  std::error_code error;
  const auto disk = fs::status(date_directory.parent_path(), error);
  if (!fs::is_directory(disk))
    return base::fail_errno(fmt::format("holding disk {}", date_directory.parent_path().native()),
                            fs::exists(disk) ? ENOTDIR : ENOENT);
  return base::make_directories(date_directory, 0700);
}

Result<> claim(const fs::path& date_directory) {
  if (auto made = make_date_directory(date_directory); !made) return made;
  const fs::path file = date_directory / kPidFile;
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto fd = base::create_file(file, 0600, true);
    if (fd) return base::write_all(fd->get(), fmt::format("{}", ::getpid()), file.native());
    if (fd.error().sys_errno() != EEXIST) return std::unexpected(std::move(fd).error());
    const DateOwner owner = owner_of(date_directory);
    if (owner.who == DateOwner::Who::other) {
      return base::fail(ErrorKind::again,
                        fmt::format("{} belongs to process {}", date_directory.native(), owner.pid));
    }
    if (owner.pid == ::getpid()) return {};
    if (auto removed = base::remove_file(file); !removed && removed.error().sys_errno() != ENOENT)
      return removed;
  }
  return base::fail(ErrorKind::again, fmt::format("{}: others keep taking it", date_directory.native()));
}

Result<> leave(const fs::path& date_directory) {
  if (owner_of(date_directory).pid == ::getpid()) {
    if (auto removed = base::remove_file(date_directory / kPidFile); !removed) return removed;
  }
  return remove_if_empty(date_directory);
}

Result<> disown(const fs::path& date_directory, pid_t dead) {
  if (dead <= 0 || owner_of(date_directory).pid != dead) return {};
  auto removed = base::remove_file(date_directory / kPidFile);
  if (!removed && removed.error().sys_errno() == ENOENT) return {};
  return removed;
}

Result<> remove_if_empty(const fs::path& date_directory) {
  std::error_code error;
  bool has_pid = false;
  for (fs::directory_iterator entry(date_directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename() != kPidFile) return {};
    has_pid = true;
  }
  if (error == std::errc::no_such_file_or_directory) return {};
  if (error) return base::fail_errno(fmt::format("list {}", date_directory.native()), error.value());
  if (has_pid) {
    if (owner_of(date_directory).who != DateOwner::Who::nobody) return {};
    if (auto removed = base::remove_file(date_directory / kPidFile); !removed) return removed;
  }
  if (::rmdir(date_directory.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT) {
    return base::fail_errno(fmt::format("rmdir {}", date_directory.native()));
  }
  return {};
}

}  // namespace headrace::hold
