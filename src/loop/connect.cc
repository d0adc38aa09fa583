#include <fcntl.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "loop/net.h"
#include "loop/socket_options.h"

namespace headrace::loop {
namespace {

using base::Error;
using base::ErrorKind;

// One connection attempt after the other:
//
//             connect says EINPROGRESS             writable, no error
//   trying ─────────────────────────────▶ waiting ───────────────────▶ ended (done called)
//     ▲  ▲        4-tuple taken: next port  │  │ error or timeout: next address
//     │  └──────────────────────────────────┘  │
//     └────────────────────────────────────────┘   no address left: ended
class Connecting : public std::enable_shared_from_this<Connecting> {
 public:
  Connecting(Loop& loop, std::vector<Address> addresses, ConnectOptions options, ConnectDone done)
      : loop_(loop),
        addresses_(std::move(addresses)),
        options_(options),
        port_(options.source_port_high),
        done_(std::move(done)) {}

  void start() {
    loop_.post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->try_next();
    });
  }

 private:
  bool has_range() const { return options_.source_port_high != 0; }
  const Address& target() const { return addresses_[address_]; }

  // Connects from here until something must be waited for or all is tried.
  void try_next() {
    while (address_ < addresses_.size()) {
      if (auto opened = open_socket(); !opened) {
        give_up_address(std::move(opened.error()));
        continue;
      }
      if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&target().storage), target().length) ==
          0) {
        if (finish_connected()) return;
        continue;
      }
      if (errno == EINPROGRESS) {
        if (wait_connected()) return;
        continue;
      }
      connect_failed(errno);
    }
    end(std::unexpected(last_error()));
  }

  // A new socket on the next free source port.
  base::Result<> open_socket() {
    socket_ = base::Fd(
        ::socket(target().storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!socket_) return base::fail_errno("make a socket for " + target().text());
    set_stream_options(socket_.get());
    return has_range() ? bind_next_port() : base::Result<>();
  }

  base::Result<> bind_next_port() {
    // A port that waits in TIME_WAIT after a connection to another peer is as good as a free one.
    const int on = 1;
    setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    Address from;
    from.storage.ss_family = target().storage.ss_family;
    from.length = target().length;
    for (; port_ >= options_.source_port_low && port_ > 0; --port_) {
      from.set_port(port_);
      if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&from.storage), from.length) == 0) return {};
      const int number = errno;
      if (number == EADDRINUSE) continue;
      if (number == EACCES) {
        return base::fail(ErrorKind::refused,
                          "connect to " + target().text() + " from port " + std::to_string(port_) +
                              ": binding a port below 1024 needs root or CAP_NET_BIND_SERVICE");
      }
      return base::fail_errno("bind source port " + std::to_string(port_) + " for " + target().text(),
                              number);
    }
    return base::fail(ErrorKind::again, "connect to " + target().text() + ": all source ports from " +
                                            std::to_string(options_.source_port_low) + " to " +
                                            std::to_string(options_.source_port_high) + " are in use");
  }

  void connect_failed(int number) {
    watch_.reset();
    // The port is bound, but still engaged with this very peer.
    if (has_range() && (number == EADDRNOTAVAIL || number == EADDRINUSE)) {
      --port_;
    } else {
      give_up_address(Error::system("connect to " + target().text(), number));
    }
    socket_.reset();
  }

  bool wait_connected() {
    auto watch = loop_.watch(socket_.get());
    if (!watch) {
      give_up_address(std::move(watch.error()).during("connecting to " + target().text()));
      return false;
    }
    watch_ = std::move(*watch);
    // Weak, though our own: the callback must not keep alive what owns it.
    watch_->await_writable([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->on_writable();
    });
    timeout_ = loop_.after(options_.timeout, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->on_timeout();
    });
    return true;
  }

  void on_writable() {
    timeout_.reset();
    int number = 0;
    socklen_t length = sizeof number;
    if (getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &number, &length) != 0) number = errno;
    if (number != 0) {
      connect_failed(number);
      try_next();
    } else if (!finish_connected()) {
      try_next();
    }
  }

  void on_timeout() {
    watch_.reset();
    const auto seconds = std::chrono::duration<double>(options_.timeout).count();
    char text[32];
    snprintf(text, sizeof text, "%g", seconds);
    give_up_address(
        {ErrorKind::gone, "connect to " + target().text() + ": no answer within " + text + " seconds"});
    try_next();
  }

  // False when the connection is with ourselves: TCP lets a socket whose source port the kernel chose connect
  // to that very port, when nobody listens there.
  bool finish_connected() {
    const auto local = local_address(socket_.get());
    if (local && local->same_host(target()) && local->port() == target().port()) {
      connect_failed(ECONNREFUSED);
      return false;
    }
    watch_.reset();
    end(std::move(socket_));
    return true;
  }

  void give_up_address(Error error) {
    watch_.reset();
    socket_.reset();
    errors_.push_back(std::move(error));
    ++address_;
    port_ = options_.source_port_high;
  }

  Error last_error() const {
    if (errors_.empty()) return {ErrorKind::refused, "connect: no address to connect to"};
    if (errors_.size() == 1) return errors_.back();
    std::string all;
    for (const Error& error : errors_) all += (all.empty() ? "" : "; ") + error.what();
    return {errors_.back().kind(), std::move(all)};
  }

  void end(base::Result<base::Fd> outcome) {
    if (ConnectDone call = std::exchange(done_, nullptr)) call(std::move(outcome));
  }

  Loop& loop_;
  const std::vector<Address> addresses_;
  const ConnectOptions options_;
  size_t address_ = 0;
  uint16_t port_;  // the next to try, when has_range()
  base::Fd socket_;
  std::unique_ptr<Watch> watch_;  // after socket_: goes first
  std::unique_ptr<Timer> timeout_;
  std::vector<Error> errors_;
  ConnectDone done_;
};

class ConnectOperation : public Operation {
 public:
  explicit ConnectOperation(std::shared_ptr<Connecting> connecting) : connecting_(std::move(connecting)) {}

 private:
  std::shared_ptr<Connecting> connecting_;  // one owner; callbacks hold it weakly
};

// A listening socket and what was accepted of it.
class Accepting : public std::enable_shared_from_this<Accepting> {
 public:
  Accepting(Loop& loop, base::Fd socket, std::unique_ptr<Watch> watch, Address local, Accepted accepted)
      : loop_(loop),
        socket_(std::move(socket)),
        watch_(std::move(watch)),
        local_(local),
        accepted_(std::move(accepted)) {}

  void arm() {
    watch_->await_readable([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->accept_some();
    });
  }
  const Address& local() const { return local_; }
  void end() { ended_ = true; }

 private:
  // A turn's worth; a flood of connections must not keep the loop.
  static constexpr int kAcceptsPerTurn = 32;
  static constexpr base::Duration kPause = std::chrono::seconds(1);

  void accept_some() {
    for (int turn = 0; turn < kAcceptsPerTurn && !ended_; ++turn) {
      Address peer;
      peer.length = sizeof peer.storage;
      base::Fd connection(accept4(socket_.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.length,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!connection) {
        if (errno == EAGAIN) break;
        if (is_shortage(errno)) return pause();
        continue;  // errors of the connection that was to be accepted; the next one may be good
      }
      set_stream_options(connection.get());
      accepted_(std::move(connection), without_mapping(peer));
    }
    if (!ended_) arm();
  }

  static bool is_shortage(int number) {
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
  }

  void pause() {
    pause_ = loop_.after(kPause, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->accept_some();
    });
  }

  Loop& loop_;
  base::Fd socket_;
  std::unique_ptr<Watch> watch_;  // after socket_: goes first
  std::unique_ptr<Timer> pause_;
  const Address local_;
  Accepted accepted_;
  bool ended_ = false;
};

class RealListener : public Listener {
 public:
  explicit RealListener(std::shared_ptr<Accepting> accepting) : accepting_(std::move(accepting)) {}
  ~RealListener() override { accepting_->end(); }
  Address local() const override { return accepting_->local(); }

 private:
  std::shared_ptr<Accepting> accepting_;  // one owner, but it stands while it calls out
};

}  // namespace

std::unique_ptr<Operation> connect_tcp(Loop& loop, std::vector<Address> addresses, ConnectOptions options,
                                       ConnectDone done) {
  auto connecting = std::make_shared<Connecting>(loop, std::move(addresses), options, std::move(done));
  connecting->start();
  return std::make_unique<ConnectOperation>(std::move(connecting));
}

// A bound and listening socket. Beside connections that wait in TIME_WAIT, or that were accepted on the same
// port before, but never beside another that listens.
static base::Result<base::Fd> listening_socket(const Address& local) {
  base::Fd socket(::socket(local.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket) return base::fail_errno("make a socket for " + local.text());
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&local.storage), local.length) != 0 ||
      listen(socket.get(), SOMAXCONN) != 0) {
    return base::fail_errno("listen on " + local.text());
  }
  return socket;
}

base::Result<std::unique_ptr<Listener>> listen_tcp(Loop& loop, const Address& local, Accepted accepted) {
  auto socket = listening_socket(local);
  if (!socket) return std::unexpected(std::move(socket).error());
  return adopt_listener(loop, std::move(*socket), std::move(accepted));
}

base::Result<std::unique_ptr<Listener>> listen_tcp_in_range(Loop& loop, Address local, PortRange range,
                                                            Accepted accepted) {
  const unsigned count = range.high - range.low + 1U;
  const unsigned first = range.contains(local.port()) ? local.port() - range.low : 0;
  for (unsigned i = 0; i < count; ++i) {
    local.set_port(static_cast<uint16_t>(range.low + (first + i) % count));
    auto socket = listening_socket(local);
    if (socket) return adopt_listener(loop, std::move(*socket), std::move(accepted));
    if (socket.error().sys_errno() != EADDRINUSE) return std::unexpected(std::move(socket).error());
  }
  return base::fail(ErrorKind::again, "all TCP ports from " + std::to_string(range.low) + " to " +
                                          std::to_string(range.high) + " are in use");
}

base::Result<std::unique_ptr<Listener>> adopt_listener(Loop& loop, base::Fd listening, Accepted accepted) {
  int is_listening = 0;
  socklen_t length = sizeof is_listening;
  if (getsockopt(listening.get(), SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &length) != 0) {
    return base::fail_errno("listen on descriptor " + std::to_string(listening.get()));
  }
  if (is_listening == 0) {
    return base::fail(ErrorKind::refused,
                      "descriptor " + std::to_string(listening.get()) + " is no listening socket");
  }
  fcntl(listening.get(), F_SETFD, FD_CLOEXEC);  // cannot fail on an open descriptor
  auto local = local_address(listening.get());
  if (!local) return std::unexpected(std::move(local.error()));
  auto watch = loop.watch(listening.get());
  if (!watch) return std::unexpected(std::move(watch.error()));
  auto accepting =
      std::make_shared<Accepting>(loop, std::move(listening), std::move(*watch), *local, std::move(accepted));
  accepting->arm();
  return std::make_unique<RealListener>(std::move(accepting));
}

}  // namespace headrace::loop
