#include "loop/fd_stream.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/alive.h"
#include "loop/net.h"

namespace headrace::loop {
namespace {

using base::Error;
using base::ErrorKind;

class FdStream : public Duplex {
 public:
  FdStream(Loop& loop, base::Fd fd, std::unique_ptr<Watch> watch, FdKind kind, std::string name)
      : loop_(loop), fd_(std::move(fd)), watch_(std::move(watch)), kind_(kind), name_(std::move(name)) {}

  IoResult read(base::MutableBytes into) override {
    HEADRACE_CHECK(!into.empty());
    if (read_state_ != IoState::wait) return {read_state_, 0};
    while (true) {
      const ssize_t got = ::read(fd_.get(), into.data(), into.size());
      if (got > 0) return {IoState::moved, static_cast<size_t>(got)};
      if (got == 0) return {read_state_ = IoState::end, 0};
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return {IoState::wait, 0};
      return fail(read_state_, "read from ", errno);
    }
  }

  IoResult write(std::span<const iovec> pieces) override {
    HEADRACE_CHECK(!pieces.empty());
    if (write_state_ != IoState::wait) return {write_state_, 0};
    const size_t count = std::min<size_t>(pieces.size(), IOV_MAX);
    while (true) {
      const ssize_t put = put_pieces(pieces.first(count));
      if (put > 0) return {IoState::moved, static_cast<size_t>(put)};
      // No kernel takes 0 of non-empty pieces; waiting is right if one does.
      if (put == 0 || errno == EAGAIN) return {IoState::wait, 0};
      if (errno == EINTR) continue;
      return fail(write_state_, "write to ", errno);
    }
  }

  void await_readable(Ready ready) override {
    if (read_closed_) return;
    if (fd_) {
      watch_->await_readable(std::move(ready));
    } else {
      call_later(std::move(ready), &FdStream::read_closed_);
    }
  }
  void await_writable(Ready ready) override {
    if (abandoned_) return;
    if (fd_) {
      watch_->await_writable(std::move(ready));
    } else {
      call_later(std::move(ready), &FdStream::abandoned_);
    }
  }

  base::Error error() const override {
    return error_.value_or(Error(ErrorKind::cancelled, name_ + " was closed on this side"));
  }

  void finish(std::move_only_function<void(base::Result<>)> done) override {
    base::Result<> outcome;
    if (write_state_ == IoState::failed) {
      outcome = std::unexpected(error());
    } else if (!write_closed_ && kind_ == FdKind::socket && shutdown(fd_.get(), SHUT_WR) != 0) {
      // ENOTCONN: the peer reset the connection after our last write.
      fail(write_state_, "end sending to ", errno == ENOTCONN ? ECONNRESET : errno);
      outcome = std::unexpected(error());
    }
    end_writing();
    loop_.post([alive = alive_.ref(), this, done = std::move(done), outcome = std::move(outcome)]() mutable {
      if (!alive.expired() && !abandoned_) done(std::move(outcome));
    });
  }

  void close_read() override {
    if (std::exchange(read_closed_, true)) return;
    if (read_state_ == IoState::wait) read_state_ = IoState::failed;
    if (watch_ != nullptr) watch_->await_readable({});
    close_when_unused();
  }

  void abandon() override {
    if (std::exchange(abandoned_, true)) return;
    // The peer must not wait for more while we go on reading.
    if (kind_ == FdKind::socket && fd_ && !write_closed_) ::shutdown(fd_.get(), SHUT_WR);
    end_writing();
  }

  bool reads_at_once() const override { return true; }
  bool writes_at_once() const override { return true; }
  int splice_fd() const override { return fd_.get(); }
  int native_fd() const override { return fd_.get(); }

 private:
  ssize_t put_pieces(std::span<const iovec> pieces) const {
    if (kind_ == FdKind::pipe) return writev(fd_.get(), pieces.data(), static_cast<int>(pieces.size()));
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg() only reads it
    message.msg_iovlen = pieces.size();
    return sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  }

  IoResult fail(IoState& direction, const char* tried, int number) {
    if (!error_) {
      error_ = Error::system(tried + name_, number);
      // Whatever broke a connection (a timeout of the keep-alive, say), it is this peer that is gone.
      if (kind_ == FdKind::socket) error_ = std::move(*error_).with_kind(ErrorKind::gone);
    }
    direction = IoState::failed;
    return {IoState::failed, 0};
  }

  void end_writing() {
    write_closed_ = true;
    write_state_ = IoState::failed;
    if (watch_ != nullptr) watch_->await_writable({});
    close_when_unused();
  }

  void close_when_unused() {
    // A pipe has one direction only.
    const bool unused = kind_ == FdKind::pipe ? read_closed_ || write_closed_ : read_closed_ && write_closed_;
    if (!unused) return;
    watch_.reset();
    fd_.reset();
  }

  // For awaits after the descriptor is closed: the caller then finds end or failed.
  void call_later(Ready ready, bool FdStream::* dropped) {
    loop_.post([alive = alive_.ref(), this, dropped, ready = std::move(ready)]() mutable {
      if (!alive.expired() && !(this->*dropped)) ready();
    });
  }

  Loop& loop_;
  base::Fd fd_;
  std::unique_ptr<Watch> watch_;  // after fd_: goes first
  const FdKind kind_;
  const std::string name_;
  // wait while the direction works, then what every further call answers.
  IoState read_state_ = IoState::wait;
  IoState write_state_ = IoState::wait;
  bool read_closed_ = false;
  bool write_closed_ = false;  // by finish() or abandon()
  bool abandoned_ = false;
  std::optional<Error> error_;
  // One owner; posted callbacks hold it weakly to see whether the stream still stands.
  base::Alive alive_;
};

}  // namespace

base::Result<std::unique_ptr<Duplex>> make_fd_stream(Loop& loop, base::Fd fd, FdKind kind, std::string name) {
  if (name.empty() && kind == FdKind::socket) {
    const auto peer = peer_address(fd.get());
    name = peer ? "connection with " + peer->text() : "socket";
  } else if (name.empty()) {
    name = "pipe";
  }
  auto watch = loop.watch(fd.get());
  if (!watch) return std::unexpected(std::move(watch.error()));
  return std::make_unique<FdStream>(loop, std::move(fd), std::move(*watch), kind, std::move(name));
}

}  // namespace headrace::loop
