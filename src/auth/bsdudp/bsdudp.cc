#include "auth/bsdudp/bsdudp.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "auth/mux/mux_connection.h"
#include "loop/fd_stream.h"

namespace headrace::auth {

using base::ErrorKind;
using base::Result;

namespace {

Result<std::shared_ptr<MuxConnection>> mux_over(loop::Loop& loop, Result<base::Fd> connection, End end,
                                                const std::vector<uint32_t>& handles) {
  if (!connection) return std::unexpected(std::move(connection).error());
  auto stream = loop::make_fd_stream(loop, std::move(*connection), loop::FdKind::socket);
  if (!stream) return std::unexpected(std::move(stream).error());
  return make_stream_mux(loop, std::move(*stream), end, handles);
}

// What the conversations of a process share.
struct Shared : std::enable_shared_from_this<Shared> {
  Shared(loop::Loop& the_loop, std::shared_ptr<StreamPorts> the_ports)
      : loop(the_loop), ports(std::move(the_ports)) {}

  // Keeps the connection until the peer has closed it, or for so long.
  void keep(std::shared_ptr<MuxConnection> mux) {
    auto* const raw = mux.get();
    kept[raw] = {std::move(mux), loop.after(kStreamsLinger, [this, raw] { kept.erase(raw); })};
    raw->serve(nullptr, [weak = weak_from_this(), raw](const Result<>&) {
      if (const auto self = weak.lock()) self->kept.erase(raw);
    });
  }

  loop::Loop& loop;
  std::shared_ptr<StreamPorts> ports;  // shared with bsd's conversations
  uint32_t next_handle = kFirstStreamHandle;
  struct Kept {
    std::shared_ptr<MuxConnection> mux;
    std::unique_ptr<loop::Timer> end;
  };
  std::map<MuxConnection*, Kept> kept;
};

class Accepting : public AcceptingCarrier {
 public:
  Accepting(std::shared_ptr<Shared> shared, const loop::Address& peer, loop::Callback connected)
      : shared_(std::move(shared)), peer_(peer), connected_(std::move(connected)) {}
  ~Accepting() override {
    if (mux_) shared_->keep(std::move(mux_));
  }

  void offer(size_t count, Conversation::Offered offered) override {
    if (count == 0) return offered(std::vector<uint32_t>());
    opening_ = shared_->ports->open(
        1, peer_, [this, count, offered = std::move(offered)](Result<StreamPorts::Doors> doors) mutable {
          if (!doors) return offered(std::unexpected(std::move(doors).error()));
          door_ = std::move(doors->front());
          handles_.push_back(door_->port());
          while (handles_.size() < count) handles_.push_back(shared_->next_handle--);
          door_->on_connection([this] {
            if (connected_) std::exchange(connected_, nullptr)();
          });
          offered(handles_);
        });
  }

  // The first call awaits the connection for all.
  void accept(uint32_t number, StreamReady ready) override {
    if (!door_)
      return ready(base::fail(ErrorKind::corrupt, fmt::format("stream {} was never offered", number)));
    if (mux_) return ready(mux_->take_stream(number));
    waiting_.emplace_back(number, std::move(ready));
    if (waiting_.size() > 1) return;
    door_->await([this](Result<base::Fd> connection) {
      auto mux = mux_over(shared_->loop, std::move(connection), End::responder, handles_);
      if (mux) mux_ = *mux;
      for (auto& [handle, waiter] : std::exchange(waiting_, {})) {
        waiter(mux ? (*mux)->take_stream(handle) : std::unexpected(mux.error()));
      }
    });
  }

 private:
  std::shared_ptr<Shared> shared_;  // with the process's other conversations
  const loop::Address peer_;
  loop::Callback connected_;
  std::unique_ptr<loop::Operation> opening_;
  std::unique_ptr<Door> door_;
  std::vector<uint32_t> handles_;
  std::vector<std::pair<uint32_t, StreamReady>> waiting_;
  std::shared_ptr<MuxConnection> mux_;  // shared with its streams
};

class Connecting : public ConnectingCarrier {
 public:
  using ConnectingCarrier::ConnectingCarrier;

  // The first one opened is the port of the connection for all.
  void open(uint32_t number, StreamReady ready) override {
    if (mux_) return ready(mux_->take_stream(number));
    connecting_ =
        connect(number, [this, number, ready = std::move(ready)](Result<base::Fd> connection) mutable {
          auto mux = mux_over(loop_, std::move(connection), End::initiator, {});
          if (!mux) return ready(std::unexpected(std::move(mux).error()));
          mux_ = std::move(*mux);
          ready(mux_->take_stream(number));
        });
  }

 private:
  std::unique_ptr<loop::Operation> connecting_;
  std::shared_ptr<MuxConnection> mux_;  // shared with its streams
};

}  // namespace

MakeCarrier accept_by_bsdudp(loop::Loop& loop, std::shared_ptr<StreamPorts> ports) {
  return [shared = std::make_shared<Shared>(loop, std::move(ports))](const loop::Address& peer,
                                                                     loop::Callback connected) {
    return std::make_unique<Accepting>(shared, peer, std::move(connected));
  };
}

MakeCarrier connect_streams_by_bsdudp(loop::Loop& loop, loop::PortRange range) {
  return [&loop, range](const loop::Address& peer, const loop::Callback&) {
    return std::make_unique<Connecting>(loop, range, peer);
  };
}

}  // namespace headrace::auth
