#include "compat/line_sorter.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <queue>
#include <utility>

#include "base/file.h"

namespace headrace::compat {
namespace {

using base::ErrorKind;
using base::Result;

constexpr size_t kReadBytes = 65536;

// The lines of one sorted piece, front to back.
class PieceReader {
 public:
  explicit PieceReader(int fd) : fd_(fd) {}
  // False at the end.
  Result<bool> next(std::string& line) {
    for (;;) {
      const size_t end = buffer_.find('\n', at_);
      if (end != std::string::npos) {
        line.assign(buffer_, at_, end - at_);
        at_ = end + 1;
        return true;
      }
      buffer_.erase(0, at_);
      at_ = 0;
      const size_t kept = buffer_.size();
      buffer_.resize(kept + kReadBytes);
      const ssize_t n = ::pread(fd_, buffer_.data() + kept, kReadBytes, offset_);
      if (n < 0 && errno != EINTR) return base::fail_errno("read back a piece of a sorted index");
      buffer_.resize(kept + static_cast<size_t>(std::max<ssize_t>(n, 0)));
      offset_ += std::max<ssize_t>(n, 0);
      if (n == 0) return false;
    }
  }

 private:
  int fd_;
  off_t offset_ = 0;
  std::string buffer_;
  size_t at_ = 0;
};

}  // namespace

Result<> LineSorter::add(std::string line) {
  held_bytes_ += line.size() + sizeof(std::string);
  lines_.push_back(std::move(line));
  return held_bytes_ < piece_bytes_ ? Result<>() : spill();
}

Result<> LineSorter::spill() {
  if (pieces_.size() >= kMaxPieces) {
    return base::fail(ErrorKind::full, "an index is too large to be sorted; set sort-index to no");
  }
  std::ranges::sort(lines_);
  std::string name = (directory_ / "sort.XXXXXX").string();
  base::Fd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return base::fail_errno("make a temporary file in " + directory_.string());
  if (::unlink(name.c_str()) != 0) return base::fail_errno("remove " + name);
  std::string text;
  for (const std::string& line : lines_) {
    text += line;
    text += '\n';
    if (text.size() < kReadBytes) continue;
    if (auto written = base::write_all(fd.get(), text, name); !written) return written;
    text.clear();
  }
  if (auto written = base::write_all(fd.get(), text, name); !written) return written;
  pieces_.push_back(std::move(fd));
  lines_.clear();
  held_bytes_ = 0;
  return {};
}

Result<> LineSorter::drain(const std::function<Result<>(std::string_view line)>& each) {
  if (!pieces_.empty()) {
    if (auto spilled = spill(); !spilled) return spilled;
  }
  std::ranges::sort(lines_);
  for (const std::string& line : lines_) {
    if (auto taken = each(line); !taken) return taken;
  }
  lines_.clear();
  std::vector<PieceReader> readers;
  for (const base::Fd& fd : pieces_) readers.emplace_back(fd.get());
  using Head = std::pair<std::string, size_t>;
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads;
  const auto refill = [&](size_t reader) -> Result<> {
    std::string line;
    auto more = readers[reader].next(line);
    if (!more) return std::unexpected(std::move(more.error()));
    if (*more) heads.emplace(std::move(line), reader);
    return {};
  };
  for (size_t i = 0; i < readers.size(); ++i) {
    if (auto filled = refill(i); !filled) return filled;
  }
  while (!heads.empty()) {
    const auto [line, reader] = heads.top();
    heads.pop();
    if (auto taken = each(line); !taken) return taken;
    if (auto filled = refill(reader); !filled) return filled;
  }
  pieces_.clear();
  return {};
}

}  // namespace headrace::compat
