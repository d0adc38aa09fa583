#include "server/volume/vtape/state_file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "base/file.h"

namespace headrace::vtape {

using base::ErrorKind;
using base::Result;

static constexpr size_t kMaxStateBytes = size_t{1} << 20U;

static const PerlValue* walk(const PerlValue& value, std::initializer_list<std::string_view> keys) {
  const PerlValue* at = &value;
  for (const auto key : keys) {
    if (at != nullptr) at = at->find(key);
  }
  return at;
}

std::string ChangerState::current(const ChangerUser& user) const {
  const PerlValue* own =
      walk(value_, {"current_slot", "config", user.config, "storage", user.storage, "changer", user.changer});
  if (own != nullptr && !own->scalar().empty()) return own->scalar();
  const PerlValue* common = value_.find("current");
  return common == nullptr ? std::string() : common->scalar();
}

void ChangerState::set_current(const ChangerUser& user, const std::string& slot) {
  value_.at("current") = PerlValue::text(slot);
  value_.at("current_slot")
      .at("config")
      .at(user.config)
      .at("storage")
      .at(user.storage)
      .at("changer")
      .at(user.changer) = PerlValue::text(slot);
}

static pid_t pid_in(const PerlValue& drive) {
  const PerlValue* value = drive.find("pid");
  if (value == nullptr) return 0;
  pid_t pid = 0;
  const std::string& text = value->scalar();
  const auto [_, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() ? pid : 0;
}

std::vector<Loaded> ChangerState::loaded() {
  std::vector<Loaded> found;
  std::vector<std::string> stale;
  const PerlValue* drives = value_.find("drives");
  if (drives == nullptr) return found;
  for (const auto& [name, drive] : drives->members()) {
    const pid_t pid = pid_in(drive);
    const PerlValue* slot = drive.find("slot");
    const bool alive = pid > 0 && (::kill(pid, 0) == 0 || errno != ESRCH);
    if (alive && slot != nullptr) {
      found.push_back({name, slot->scalar(), pid});
    } else {
      stale.push_back(name);
    }
  }
  for (const auto& name : stale) value_.at("drives").erase(name);
  return found;
}

void ChangerState::add_loaded(const std::string& slot, pid_t pid) {
  PerlValue& drives = value_.at("drives");
  size_t number = 0;
  while (drives.find(fmt::format("drive{}", number)) != nullptr) ++number;
  PerlValue& drive = drives.at(fmt::format("drive{}", number));
  drive.at("slot") = PerlValue::text(slot);
  drive.at("pid") = PerlValue::number(pid);
}

void ChangerState::remove_loaded(const std::string& slot, pid_t pid) {
  for (const Loaded& entry : loaded()) {
    if (entry.slot == slot && entry.pid == pid) value_.at("drives").erase(entry.drive);
  }
}

static Result<> lock(int fd, std::chrono::milliseconds patience, const std::filesystem::path& file) {
  std::chrono::milliseconds pause(2);
  for (std::chrono::milliseconds waited(0);;
       waited += pause, pause = std::min(pause * 2, std::chrono::milliseconds(500))) {
    struct flock want{};
    want.l_type = F_WRLCK;
    want.l_whence = SEEK_SET;
    if (::fcntl(fd, F_SETLK, &want) == 0) return {};
    if (errno != EAGAIN && errno != EACCES) return base::fail_errno(fmt::format("lock {}", file.native()));
    if (waited >= patience) {
      const bool known = ::fcntl(fd, F_GETLK, &want) == 0 && want.l_type != F_UNLCK;
      return base::fail(ErrorKind::again,
                        fmt::format("{} is locked by process {}", file.native(), known ? want.l_pid : 0));
    }
    ::poll(nullptr, 0, static_cast<int>(pause.count()));
  }
}

static Result<std::string> read_whole(int fd, const std::filesystem::path& file) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return base::fail_errno(fmt::format("stat {}", file.native()));
  if (static_cast<uint64_t>(st.st_size) > kMaxStateBytes) {
    return base::fail(ErrorKind::corrupt,
                      fmt::format("{} is too large for a changer's state", file.native()));
  }
  std::string text(static_cast<size_t>(st.st_size), '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  if (n < 0) return base::fail_errno(fmt::format("read {}", file.native()));
  text.resize(static_cast<size_t>(n));
  return text;
}

// In place: other processes wait for the lock of this inode.
static Result<> write_whole(int fd, std::string_view text, const std::filesystem::path& file) {
  if (::lseek(fd, 0, SEEK_SET) < 0) return base::fail_errno(fmt::format("seek {}", file.native()));
  if (auto written = base::write_all(fd, text, file.native()); !written) return written;
  if (::ftruncate(fd, static_cast<off_t>(text.size())) != 0) {
    return base::fail_errno(fmt::format("truncate {}", file.native()));
  }
  return {};
}

static Result<base::Fd> open_or_make(const std::filesystem::path& file) {
  auto fd = base::open_file(file, O_RDWR);
  if (fd || fd.error().sys_errno() != ENOENT) return fd;
  auto made = base::create_file(file, 0600, true);
  if (made || made.error().sys_errno() != EEXIST) return made;
  return base::open_file(file, O_RDWR);
}

Result<> with_state(const std::filesystem::path& file, std::chrono::milliseconds patience,
                    const std::function<Result<>(ChangerState&)>& change) {
  // One descriptor only: closing any other of this file would give up the lock.
  auto fd = open_or_make(file);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (auto locked = lock(fd->get(), patience, file); !locked) return locked;
  auto text = read_whole(fd->get(), file);
  if (!text) return std::unexpected(std::move(text).error());
  auto value = parse_perl_assignment(*text);
  ChangerState state(value && value->type() == PerlValue::Type::hash ? std::move(*value) : PerlValue::hash());
  const PerlValue before = state.value();
  if (auto changed = change(state); !changed) return changed;
  if (value && state.value() == before) return {};
  return write_whole(fd->get(), perl_assignment("STATE", state.value()), file);
}

}  // namespace headrace::vtape
