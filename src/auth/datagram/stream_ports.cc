#include "auth/datagram/stream_ports.h"

#include <fmt/format.h>

#include <utility>

namespace headrace::auth {

using base::Error;
using base::ErrorKind;
using base::Result;

void Door::await(Connected connected) {
  connected_ = std::move(connected);
  if (connection_) return tell(std::move(connection_));
  timeout_ = ports_->loop_.after(kConnectWait, [this] {
    close();
    tell(base::fail(
        ErrorKind::gone,
        fmt::format("{} did not connect the stream of port {} within {} seconds", peer_.host_text(), port_,
                    std::chrono::duration_cast<std::chrono::seconds>(kConnectWait).count())));
  });
}

Result<> Door::listen(uint16_t first_port) {
  loop::Address local = loop::Address::any_like(peer_);
  local.set_port(first_port);
  auto listener = loop::listen_tcp_in_range(
      ports_->loop_, local, ports_->range_,
      [this](base::Fd connection, const loop::Address& from) { accepted(std::move(connection), from); });
  if (!listener) return std::unexpected(std::move(listener).error());
  listener_ = std::move(*listener);
  port_ = listener_->local().port();
  return {};
}

void Door::accepted(base::Fd connection, const loop::Address& from) {
  if (!from.same_host(peer_)) {
    ++ports_->strangers_;
    return;
  }
  if (from.port() == kFtpDataPort) return;
  close();
  timeout_.reset();
  if (connected_) {
    tell(std::move(connection));
  } else {
    connection_ = std::move(connection);
  }
  if (noticed_) std::exchange(noticed_, nullptr)();
}

void Door::close() {
  if (!listener_) return;
  listener_.reset();
  ports_->freed();
}

void Door::tell(Result<base::Fd> outcome) {
  // Shared by the posted callback alone, which may be dropped.
  auto given = std::make_shared<Result<base::Fd>>(std::move(outcome));
  ports_->loop_.post([this, alive = alive_.ref(), given] {
    if (!alive.expired()) std::exchange(connected_, nullptr)(std::move(*given));
  });
}

// A place in the queue; leaving it is enough to be forgotten.
class StreamPorts::Place : public loop::Operation {
 public:
  Place(std::shared_ptr<StreamPorts> ports, uint64_t number) : ports_(std::move(ports)), number_(number) {}
  ~Place() override {
    std::erase_if(ports_->waiting_, [this](const Waiting& one) { return one.number == number_; });
  }

 private:
  std::shared_ptr<StreamPorts> ports_;  // shared by all who offer streams
  uint64_t number_;
};

std::unique_ptr<loop::Operation> StreamPorts::open(size_t count, const loop::Address& peer, Opened opened) {
  const uint64_t number = next_number_++;
  waiting_.push_back({number, count, peer, std::move(opened), loop_.clock().now()});
  freed();
  return std::make_unique<Place>(shared_from_this(), number);
}

Result<StreamPorts::Doors> StreamPorts::try_open(size_t count, const loop::Address& peer) {
  Doors doors;
  while (doors.size() < count) {
    auto door = std::make_unique<Door>(shared_from_this(), peer);
    if (auto listening = door->listen(next_); !listening)
      return std::unexpected(std::move(listening).error());
    next_ = static_cast<uint16_t>(door->port() + 1);
    doors.push_back(std::move(door));
  }
  return doors;
}

void StreamPorts::freed() {
  if (waiting_.empty() || std::exchange(serve_posted_, true)) return;
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->serve_waiting();
  });
}

void StreamPorts::serve_waiting() {
  // While it is set, doors of an offer that could not be given whole do not call for another round.
  serve_posted_ = true;
  while (!waiting_.empty()) {
    Waiting& first = waiting_.front();
    auto doors = try_open(first.count, first.peer);
    if (!doors && doors.error().kind() == ErrorKind::again && loop_.clock().now() - first.since < kPortWait) {
      break;
    }
    if (!doors) {
      doors = std::unexpected(
          std::move(doors.error()).during("looking for ports to await the streams on (unreserved-tcp-port)"));
    }
    Opened opened = std::move(first.opened);
    waiting_.pop_front();
    opened(std::move(doors));
  }
  serve_posted_ = false;
  retry_.reset();
  if (!waiting_.empty()) retry_ = loop_.after(kPortRetry, [this] { serve_waiting(); });
}

}  // namespace headrace::auth
