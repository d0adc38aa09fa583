#include "journal/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/file.h"
#include "journal/codec.h"

namespace headrace::journal {
namespace {

using base::ErrorKind;

constexpr std::string_view kPrefix = "journal.";
constexpr size_t kReadBytes = 256U << 10U;
constexpr off_t kTailBytes = 16 << 10;  // the last event of a run is short
constexpr size_t kProblemsNamed = 20;

// An open file description lock: it belongs to the descriptor, so that a reader in the same process neither
// breaks it nor is mistaken for its holder, and the kernel drops it when the writer dies.
struct flock whole_file(short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool is_timestamp(std::string_view text) {
  return text.size() == 14 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::filesystem::path path_of(const std::filesystem::path& logdir, const std::string& timestamp) {
  return logdir / (std::string(kPrefix) + timestamp);
}

Writer::Writer(std::filesystem::path path, base::Fd fd, const base::Clock& clock)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      clock_(clock),
      origin_us_(clock.wall_seconds() * 1'000'000),
      origin_(clock.now()) {}

base::Result<std::unique_ptr<Writer>> Writer::create(const std::filesystem::path& logdir,
                                                     const std::string& timestamp, const base::Clock& clock) {
  auto path = path_of(logdir, timestamp);
  auto fd = base::create_file(path, 0600, true);
  if (!fd) return std::unexpected(std::move(fd.error()).during("starting the run's journal"));
  const int flags = ::fcntl(fd->get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd->get(), F_SETFL, flags | O_APPEND) < 0)
    return base::fail_errno(fmt::format("fcntl {}", path.native()));
  auto lock = whole_file(F_WRLCK);
  if (::fcntl(fd->get(), F_OFD_SETLK, &lock) < 0)
    return base::fail_errno(fmt::format("lock {}", path.native()));
  return std::unique_ptr<Writer>(new Writer(std::move(path), std::move(*fd), clock));
}

base::Result<> Writer::append(const Body& body) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(clock_.now() - origin_).count();
  std::string line = encode({origin_us_ + since, body});
  if (line.size() > kMaxLineBytes)
    return base::fail(ErrorKind::refused, fmt::format("an event \"{}\" of {} bytes is too long for {}",
                                                      type_of(body), line.size(), path_.native()));
  line += '\n';
  // After a write that may have stopped in mid-line, what follows gets a line of its own.
  if (torn_) line.insert(0, 1, '\n');
  auto written = base::write_all(fd_.get(), line, path_.native());
  torn_ = !written;
  return written;
}

base::Result<> Writer::sync() {
  if (::fsync(fd_.get()) < 0) return base::fail_errno(fmt::format("fsync {}", path_.native()));
  return {};
}

base::Result<Reader> Reader::open(const std::filesystem::path& path) {
  auto fd = base::open_file(path, O_RDONLY);
  if (!fd) return std::unexpected(std::move(fd.error()).during("reading a run's journal"));
  return Reader(path, std::move(*fd));
}

base::Result<bool> Reader::fill() {
  buffer_.erase(0, taken_);
  taken_ = 0;
  const size_t had = buffer_.size();
  buffer_.resize(had + kReadBytes);
  ssize_t got = 0;
  do got = ::read(fd_.get(), buffer_.data() + had, kReadBytes);
  while (got < 0 && errno == EINTR);
  const int number = errno;
  buffer_.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0) return base::fail_errno(fmt::format("read {}", path_.native()), number);
  return got > 0;
}

base::Result<Contents> Reader::next(size_t most_lines) {
  Contents contents;
  size_t searched = taken_;
  while (contents.events.size() + contents.problems.size() < most_lines) {
    const size_t end = buffer_.find('\n', searched);
    if (end == std::string::npos) {
      const size_t kept = torn_bytes();
      if (kept > kMaxLineBytes)
        return base::fail(ErrorKind::corrupt,
                          fmt::format("line {} of {} does not end within {} bytes; this is no journal",
                                      line_ + 1, path_.native(), kMaxLineBytes));
      auto more = fill();
      if (!more) return std::unexpected(std::move(more.error()));
      if (!*more) break;
      searched = kept;
      continue;
    }
    const std::string_view line(buffer_.data() + taken_, end - taken_);
    taken_ = searched = end + 1;
    ++line_;
    if (line.empty()) continue;
    auto event = parse(line);
    if (event)
      contents.events.push_back(std::move(*event));
    else
      contents.problems.push_back(fmt::format("{}:{}: {}", path_.native(), line_, event.error().what()));
  }
  return contents;
}

base::Result<Contents> read_all(const std::filesystem::path& path) {
  auto reader = Reader::open(path);
  if (!reader) return std::unexpected(std::move(reader.error()));
  Contents all;
  size_t unnamed = 0;
  while (true) {
    auto some = reader->next();
    if (!some) return std::unexpected(std::move(some.error()));
    if (some->events.empty() && some->problems.empty()) break;
    std::ranges::move(some->events, std::back_inserter(all.events));
    for (auto& problem : some->problems)
      if (all.problems.size() < kProblemsNamed)
        all.problems.push_back(std::move(problem));
      else
        ++unnamed;
  }
  if (unnamed > 0)
    all.problems.push_back(fmt::format("{}: {} more lines cannot be read", path.native(), unnamed));
  if (reader->torn_bytes() > 0)
    all.problems.push_back(
        fmt::format("{}: the last line is incomplete ({} bytes): the run was interrupted while writing it",
                    path.native(), reader->torn_bytes()));
  return all;
}

base::Result<bool> ends_finished(const std::filesystem::path& path) {
  auto fd = base::open_file(path, O_RDONLY);
  if (!fd) return std::unexpected(std::move(fd.error()));
  const off_t size = ::lseek(fd->get(), 0, SEEK_END);
  if (size < 0) return base::fail_errno(fmt::format("measure {}", path.native()));
  std::string tail(static_cast<size_t>(std::min<off_t>(size, kTailBytes)), '\0');
  const ssize_t got = ::pread(fd->get(), tail.data(), tail.size(), size - static_cast<off_t>(tail.size()));
  if (got < 0) return base::fail_errno(fmt::format("read {}", path.native()));
  tail.resize(static_cast<size_t>(got));
  if (!tail.ends_with('\n')) return false;
  tail.pop_back();
  const size_t before = tail.rfind('\n');
  if (before == std::string::npos) return false;
  const auto event = parse(std::string_view(tail).substr(before + 1));
  return event && std::holds_alternative<RunFinished>(event->body);
}

base::Result<bool> is_being_written(const std::filesystem::path& path) {
  auto fd = base::open_file(path, O_RDONLY);
  if (!fd) return std::unexpected(std::move(fd.error()));
  auto lock = whole_file(F_WRLCK);
  if (::fcntl(fd->get(), F_OFD_GETLK, &lock) < 0)
    return base::fail_errno(fmt::format("ask for the lock of {}", path.native()));
  return lock.l_type != F_UNLCK;
}

base::Result<std::vector<std::string>> list(const std::filesystem::path& logdir) {
  std::vector<std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(logdir, error);
  if (error == std::errc::no_such_file_or_directory) return found;
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    if (!name.starts_with(kPrefix)) continue;
    std::string stamp = name.substr(kPrefix.size());
    if (is_timestamp(stamp)) found.push_back(std::move(stamp));
  }
  if (error) return base::fail_errno(fmt::format("list {}", logdir.native()), error.value());
  std::ranges::sort(found);
  return found;
}

}  // namespace headrace::journal
