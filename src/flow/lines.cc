#include "flow/lines.h"

#include <fmt/format.h>

#include <cstring>

#include "base/alive.h"

namespace headrace::flow {

using base::ErrorKind;
using base::Result;
using loop::IoState;

class LineReader::Impl {
 public:
  Impl(loop::Loop& loop, loop::Readable& source, Line line, End end, size_t max_line_bytes)
      : loop_(loop),
        source_(source),
        line_(std::move(line)),
        end_(std::move(end)),
        max_line_bytes_(max_line_bytes),
        buffer_bytes_(2 * max_line_bytes),
        buffer_(std::make_unique_for_overwrite<char[]>(buffer_bytes_)) {}
  ~Impl() {
    if (!ended_) source_.close_read();
  }

  void start() { schedule(); }

 private:
  void schedule() {
    loop_.post([this, alive = alive_.ref()] {
      if (!alive.expired()) turn();
    });
  }

  void turn() {
    size_t moved = 0;
    while (!ended_) {
      const auto room =
          base::MutableBytes(reinterpret_cast<std::byte*>(buffer_.get()) + filled_, buffer_bytes_ - filled_);
      const auto result = source_.read(room);
      if (result.state == IoState::wait) {
        source_.await_readable([this, alive = alive_.ref()] {
          if (!alive.expired()) turn();
        });
        return;
      }
      if (result.state == IoState::failed) return end(std::unexpected(source_.error()));
      if (result.state == IoState::end) {
        const auto alive = alive_.ref();
        auto line = std::move(line_);
        if (filled_ > 0) line({buffer_.get(), std::exchange(filled_, 0)}, true);
        if (!alive.expired()) end({});
        return;
      }
      filled_ += result.bytes;
      moved += result.bytes;
      if (!deliver()) return;
      if (moved >= kQuantumBytes) return schedule();
    }
  }

  // False when this object is gone or has ended.
  bool deliver() {
    size_t begin = 0;
    const auto alive = alive_.ref();
    // The callback may destroy this object, and must outlive that itself.
    auto line = std::move(line_);
    while (const void* newline = std::memchr(buffer_.get() + begin, '\n', filled_ - begin)) {
      const size_t length = static_cast<size_t>(static_cast<const char*>(newline) - buffer_.get()) - begin;
      if (length > max_line_bytes_) return too_long();
      line({buffer_.get() + begin, length}, false);
      if (alive.expired()) return false;
      begin += length + 1;
    }
    std::memmove(buffer_.get(), buffer_.get() + begin, filled_ - begin);
    filled_ -= begin;
    line_ = std::move(line);
    return filled_ <= max_line_bytes_ || too_long();
  }

  bool too_long() {
    end(base::fail(ErrorKind::corrupt, fmt::format("a line of more than {} bytes", max_line_bytes_)));
    return false;
  }

  void end(Result<> outcome) {
    ended_ = true;
    source_.close_read();
    loop_.post([this, alive = alive_.ref(), outcome = std::move(outcome)]() mutable {
      if (!alive.expired()) std::exchange(end_, nullptr)(std::move(outcome));
    });
  }

  loop::Loop& loop_;
  loop::Readable& source_;
  Line line_;
  End end_;
  const size_t max_line_bytes_;
  const size_t buffer_bytes_;
  const std::unique_ptr<char[]> buffer_;
  size_t filled_ = 0;
  bool ended_ = false;
  base::Alive alive_;
};

LineReader::LineReader(loop::Loop& loop, loop::Readable& source, Line line, End end, size_t max_line_bytes)
    : impl_(std::make_unique<Impl>(loop, source, std::move(line), std::move(end), max_line_bytes)) {}
LineReader::~LineReader() = default;
void LineReader::start() { impl_->start(); }

}  // namespace headrace::flow
