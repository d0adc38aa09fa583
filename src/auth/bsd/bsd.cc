#include "auth/bsd/bsd.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "loop/fd_stream.h"

namespace headrace::auth {

using base::ErrorKind;
using base::Result;

namespace {

Result<std::unique_ptr<loop::Duplex>> stream_of(loop::Loop& loop, Result<base::Fd> connection) {
  if (!connection) return std::unexpected(std::move(connection).error());
  return loop::make_fd_stream(loop, std::move(*connection), loop::FdKind::socket);
}

class Accepting : public AcceptingCarrier {
 public:
  Accepting(loop::Loop& loop, std::shared_ptr<StreamPorts> ports, const loop::Address& peer,
            loop::Callback connected)
      : loop_(loop), ports_(std::move(ports)), peer_(peer), connected_(std::move(connected)) {}

  void offer(size_t count, Conversation::Offered offered) override {
    opening_ = ports_->open(count, peer_,
                            [this, offered = std::move(offered)](Result<StreamPorts::Doors> doors) mutable {
                              if (!doors) return offered(std::unexpected(std::move(doors).error()));
                              std::vector<uint32_t> numbers;
                              for (auto& door : *doors) {
                                numbers.push_back(door->port());
                                door->on_connection([this] { noticed(); });
                                doors_[door->port()] = std::move(door);
                              }
                              offered(std::move(numbers));
                            });
  }

  void accept(uint32_t number, StreamReady ready) override {
    const auto found = doors_.find(number);
    if (found == doors_.end()) {
      return ready(base::fail(ErrorKind::corrupt, fmt::format("stream {} was never offered", number)));
    }
    found->second->await([this, ready = std::move(ready)](Result<base::Fd> connection) mutable {
      ready(stream_of(loop_, std::move(connection)));
    });
  }

 private:
  void noticed() {
    if (connected_) std::exchange(connected_, nullptr)();
  }

  loop::Loop& loop_;
  std::shared_ptr<StreamPorts> ports_;  // shared by the conversations of a process
  const loop::Address peer_;
  loop::Callback connected_;
  std::unique_ptr<loop::Operation> opening_;
  std::map<uint32_t, std::unique_ptr<Door>> doors_;
};

class Connecting : public ConnectingCarrier {
 public:
  using ConnectingCarrier::ConnectingCarrier;

  void open(uint32_t number, StreamReady ready) override {
    connecting_[number] =
        connect(number, [this, ready = std::move(ready)](Result<base::Fd> connection) mutable {
          ready(stream_of(loop_, std::move(connection)));
        });
  }

 private:
  std::map<uint32_t, std::unique_ptr<loop::Operation>> connecting_;
};

}  // namespace

MakeCarrier accept_by_bsd(loop::Loop& loop, std::shared_ptr<StreamPorts> ports) {
  return [&loop, ports = std::move(ports)](const loop::Address& peer, loop::Callback connected) {
    return std::make_unique<Accepting>(loop, ports, peer, std::move(connected));
  };
}

MakeCarrier connect_streams_by_bsd(loop::Loop& loop, loop::PortRange range) {
  return [&loop, range](const loop::Address& peer, const loop::Callback&) {
    return std::make_unique<Connecting>(loop, range, peer);
  };
}

}  // namespace headrace::auth
