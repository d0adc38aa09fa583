#include "sim/sim_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace headrace::sim {

using base::Error;
using base::ErrorKind;
using base::Instant;
using loop::IoResult;
using loop::IoState;
using loop::Ready;

SimLink::SimLink(SimLoop& loop, SimLinkOptions options)
    : loop_(loop), options_(std::move(options)), random_(options_.seed) {}

void SimLink::stop_reading() { reading_stopped_ = true; }

void SimLink::resume_reading() {
  reading_stopped_ = false;
  settle();
}

void SimLink::go_silent() {
  settle();
  silent_ = true;
  for (size_t i = arrived_; i < chunks_.size(); ++i) chunks_[i].arrives = Instant::max();
  settle();
}

void SimLink::speak_again() {
  silent_ = false;
  wire_free_ = loop_.clock().now();
  for (size_t i = arrived_; i < chunks_.size(); ++i) chunks_[i].arrives = arrival_of(chunks_[i].bytes.size());
  reader_closed_seen_ = reader_closed_;
  settle();
}

void SimLink::reset() {
  if (std::exchange(failed_, true)) return;
  chunks_.clear();
  arrived_ = 0;
  taken_ = 0;
  settle();
  if (const auto other = fate_.lock()) other->reset();
}

Instant SimLink::arrival_of(size_t bytes) {
  if (silent_) return Instant::max();
  wire_free_ = std::max(wire_free_, loop_.clock().now());
  if (options_.bytes_per_second != 0) {
    wire_free_ += std::chrono::nanoseconds(bytes * 1'000'000'000U / options_.bytes_per_second);
  }
  return wire_free_ + options_.latency;
}

size_t SimLink::drawn(size_t most) {
  if (options_.largest_move_bytes == 0) return most;
  return std::min<size_t>(most, random_.between(1, options_.largest_move_bytes));
}

bool SimLink::readable() const { return failed_ || end_read_ || (!reading_stopped_ && arrived_ > 0); }

IoResult SimLink::read(base::MutableBytes into) {
  HEADRACE_CHECK(!into.empty());
  HEADRACE_CHECK(read_memory_ == nullptr || read_memory_ == into.data());
  read_memory_ = nullptr;
  if (end_read_) return {IoState::end, 0};
  if (failed_) return {IoState::failed, 0};
  if (!readable() || random_.one_in(options_.false_wait_one_in)) {
    read_memory_ = into.data();
    return {IoState::wait, 0};
  }
  size_t wanted = drawn(into.size());
  if (options_.reset_after_bytes)
    wanted = std::min<size_t>(wanted, *options_.reset_after_bytes - bytes_read_);
  size_t moved = 0;
  while (moved < wanted && arrived_ > 0 && !chunks_.front().bytes.empty()) {
    const std::string& front = chunks_.front().bytes;
    const size_t some = std::min(wanted - moved, front.size() - taken_);
    std::memcpy(into.data() + moved, front.data() + taken_, some);
    moved += some;
    taken_ += some;
    if (taken_ == front.size()) {
      chunks_.pop_front();
      --arrived_;
      taken_ = 0;
    }
  }
  bytes_read_ += moved;
  if (options_.reset_after_bytes && bytes_read_ >= *options_.reset_after_bytes) reset();
  settle();
  if (moved > 0) return {IoState::moved, moved};
  if (failed_) return {IoState::failed, 0};
  end_read_ = true;  // only the end has no bytes
  chunks_.pop_front();
  --arrived_;
  return {IoState::end, 0};
}

IoResult SimLink::write(std::span<const iovec> pieces) {
  HEADRACE_CHECK(!pieces.empty() && pieces[0].iov_len > 0);
  HEADRACE_CHECK(write_memory_ == nullptr || write_memory_ == pieces[0].iov_base);
  write_memory_ = nullptr;
  if (failed_ || reader_closed_seen_ || end_sent_) return {IoState::failed, 0};
  const size_t room = options_.capacity_bytes - std::min(options_.capacity_bytes, bytes_held());
  if (room == 0 || random_.one_in(options_.false_wait_one_in)) {
    write_memory_ = pieces[0].iov_base;
    return {IoState::wait, 0};
  }
  size_t wanted = drawn(room);
  std::string bytes;
  for (const iovec& piece : pieces) {
    const size_t some = std::min(wanted, piece.iov_len);
    bytes.append(static_cast<const char*>(piece.iov_base), some);
    wanted -= some;
  }
  const size_t moved = bytes.size();
  const Instant arrives = arrival_of(moved);
  chunks_.push_back({arrives, std::move(bytes)});
  bytes_written_ += moved;
  settle();
  return {IoState::moved, moved};
}

void SimLink::send_end() {
  if (std::exchange(end_sent_, true)) return;
  chunks_.push_back({arrival_of(0), {}});
  settle();
}

void SimLink::close_reader() {
  if (std::exchange(reader_closed_, true)) return;
  reader_ready_ = nullptr;
  if (!silent_) reader_closed_seen_ = true;
  settle();
}

Error SimLink::error(const char* doing) const {
  std::string tried = std::string(doing) + options_.name + ": ";
  if (failed_) return {ErrorKind::gone, tried + "connection reset by peer"};
  if (reader_closed_seen_) return {ErrorKind::gone, tried + "the reader is gone"};
  return {ErrorKind::cancelled, tried + "closed on this side"};
}

void SimLink::settle() {
  const Instant now = loop_.clock().now();
  while (arrived_ < chunks_.size() && chunks_[arrived_].arrives <= now) ++arrived_;
  next_arrival_.reset();
  if (arrived_ < chunks_.size() && chunks_[arrived_].arrives != Instant::max()) {
    next_arrival_ = loop_.after(chunks_[arrived_].arrives - now, [this] { settle(); });
  }
  if (reader_ready_ && readable()) wake(reader_ready_, reader_wake_posted_);
  if (writer_ready_ && writable()) wake(writer_ready_, writer_wake_posted_);
  const bool broken = failed_ || reader_closed_seen_;
  if (!finish_done_ || (!broken && arrived_ < chunks_.size())) return;
  base::Result<> outcome;
  if (broken && !chunks_.empty()) outcome = std::unexpected(error("write to "));
  if (failed_) outcome = std::unexpected(error("write to "));
  loop_.post([weak = weak_from_this(), outcome = std::move(outcome)]() mutable {
    const auto link = weak.lock();
    if (link == nullptr) return;
    if (auto done = std::exchange(link->finish_done_, nullptr)) done(std::move(outcome));
  });
}

void SimLink::wake(Ready& waiting, bool& posted) {
  if (std::exchange(posted, true)) return;
  // Weak: the streams may go before the event comes; both references are into the link.
  loop_.post([weak = weak_from_this(), &waiting, &posted] {
    const auto link = weak.lock();
    if (link == nullptr) return;
    posted = false;
    if (Ready ready = std::exchange(waiting, nullptr)) ready();
  });
}

// The reading half. Gives the link up when closed or destroyed.
class SimReader : public loop::Readable {
 public:
  explicit SimReader(std::shared_ptr<SimLink> link) : link_(std::move(link)) {}
  ~SimReader() override { close_read(); }

  IoResult read(base::MutableBytes into) override {
    return closed_ ? IoResult{IoState::failed, 0} : link_->read(into);
  }
  void await_readable(Ready ready) override {
    if (closed_) return;
    link_->reader_ready_ = std::move(ready);
    link_->settle();
  }
  Error error() const override { return link_->error("read from "); }
  void close_read() override {
    if (std::exchange(closed_, true)) return;
    link_->close_reader();
  }

 private:
  std::shared_ptr<SimLink> link_;  // shared by both ends and the test
  bool closed_ = false;
};

// The writing half. Ends what it sent when abandoned or destroyed, as a closed socket does.
class SimWriter : public loop::Writable {
 public:
  explicit SimWriter(std::shared_ptr<SimLink> link) : link_(std::move(link)) {}
  ~SimWriter() override { abandon(); }

  IoResult write(std::span<const iovec> pieces) override { return link_->write(pieces); }
  void await_writable(Ready ready) override {
    if (abandoned_) return;
    link_->writer_ready_ = std::move(ready);
    link_->settle();
  }
  Error error() const override { return link_->error("write to "); }
  void finish(std::move_only_function<void(base::Result<>)> done) override {
    if (abandoned_) return;
    link_->writer_ready_ = nullptr;
    link_->finish_done_ = std::move(done);
    link_->send_end();
    link_->settle();
  }
  void abandon() override {
    if (std::exchange(abandoned_, true)) return;
    link_->writer_ready_ = nullptr;
    link_->finish_done_ = nullptr;
    link_->send_end();
  }

 private:
  std::shared_ptr<SimLink> link_;  // shared by both ends and the test
  bool abandoned_ = false;
};

namespace {

// One end of a connection. Its reader's link learns that nobody reads only once nobody writes either.
class SimEnd : public loop::Duplex {
 public:
  SimEnd(std::shared_ptr<SimLink> in, std::shared_ptr<SimLink> out)
      : reader_(std::move(in)), writer_(std::move(out)) {}

  IoResult read(base::MutableBytes into) override {
    if (read_given_up_) return {IoState::failed, 0};
    const IoResult got = reader_.read(into);
    if (got.state == IoState::failed) read_failed_ = true;
    return got;
  }
  void await_readable(Ready ready) override {
    if (!read_given_up_) reader_.await_readable(std::move(ready));
  }
  void close_read() override {
    read_given_up_ = true;
    reader_.await_readable(nullptr);
    close_when_unused();
  }
  IoResult write(std::span<const iovec> pieces) override { return writer_.write(pieces); }
  void await_writable(Ready ready) override { writer_.await_writable(std::move(ready)); }
  Error error() const override { return read_failed_ ? reader_.error() : writer_.error(); }
  void finish(std::move_only_function<void(base::Result<>)> done) override {
    write_given_up_ = true;
    writer_.finish(std::move(done));
    close_when_unused();
  }
  void abandon() override {
    write_given_up_ = true;
    writer_.abandon();
    close_when_unused();
  }

 private:
  void close_when_unused() {
    if (read_given_up_ && write_given_up_) reader_.close_read();
  }

  SimReader reader_;
  SimWriter writer_;
  bool read_failed_ = false;
  bool read_given_up_ = false;
  bool write_given_up_ = false;
};

}  // namespace

void bind_fates(SimLink& one, SimLink& other) {
  one.fate_ = other.weak_from_this();
  other.fate_ = one.weak_from_this();
}

SimPipe make_sim_pipe(SimLoop& loop, SimLinkOptions options) {
  auto link = std::make_shared<SimLink>(loop, std::move(options));
  return {std::make_unique<SimWriter>(link), std::make_unique<SimReader>(link), link};
}

SimConnection make_sim_connection(SimLoop& loop, SimLinkOptions a_to_b, SimLinkOptions b_to_a) {
  auto there = std::make_shared<SimLink>(loop, std::move(a_to_b));
  auto back = std::make_shared<SimLink>(loop, std::move(b_to_a));
  bind_fates(*there, *back);
  return {std::make_unique<SimEnd>(back, there), std::make_unique<SimEnd>(there, back), there, back};
}

}  // namespace headrace::sim
