#include "auth/datagram/datagram_path.h"

#include <fmt/format.h>

#include <algorithm>

namespace headrace::auth {

using base::ErrorKind;
using base::Result;

namespace {

class DatagramPath : public Path {
 public:
  DatagramPath(std::shared_ptr<DatagramHub> hub, std::vector<loop::Address> addresses,
               MakeCarrier make_carrier)
      : hub_(std::move(hub)),
        addresses_(std::move(addresses)),
        make_carrier_(std::make_shared<MakeCarrier>(std::move(make_carrier))) {}
  std::unique_ptr<Conversation> begin() override { return hub_->begin(addresses_, make_carrier_); }
  bool names_user() const override { return true; }

 private:
  std::shared_ptr<DatagramHub> hub_;  // shared by all paths of a process
  std::vector<loop::Address> addresses_;
  std::shared_ptr<MakeCarrier> make_carrier_;  // shared with its conversations
};

class Connecting : public loop::Operation {
 public:
  Connecting(loop::Loop& loop, InitiatorSockets& sockets, Peer peer, MakeCarrier make_carrier,
             PathReady ready)
      : loop_(loop),
        sockets_(sockets),
        peer_(std::move(peer)),
        make_carrier_(std::move(make_carrier)),
        ready_(std::move(ready)) {
    resolving_ = loop::resolve(loop_, peer_.host, peer_.port, [this](Result<loop::ResolvedName> name) {
      if (!name) return failed(std::move(name).error());
      addresses_ = std::move(name->addresses);
      const bool has_ipv4 = std::ranges::any_of(addresses_, &loop::Address::is_ipv4);
      if (has_ipv4) std::erase_if(addresses_, [](const loop::Address& one) { return !one.is_ipv4(); });
      take_socket();
    });
  }

 private:
  void take_socket() {
    auto hub = sockets_.hub(loop_, addresses_.front(), peer_.udp_ports);
    if (!hub && hub.error().kind() == ErrorKind::again && ++tries_ < kPortTries) {
      pause_ = loop_.after(kPortPause, [this] { take_socket(); });
      return;
    }
    if (!hub) return failed(std::move(hub).error());
    auto ready = std::move(ready_);
    ready(std::make_unique<DatagramPath>(std::move(*hub), std::move(addresses_), std::move(make_carrier_)));
  }

  void failed(base::Error error) {
    auto ready = std::move(ready_);
    ready(std::unexpected(std::move(error).during(fmt::format("reaching {} by {}", peer_.host, peer_.auth))));
  }

  loop::Loop& loop_;
  InitiatorSockets& sockets_;
  Peer peer_;
  MakeCarrier make_carrier_;
  PathReady ready_;
  std::vector<loop::Address> addresses_;
  int tries_ = 0;
  std::unique_ptr<loop::Operation> resolving_;
  std::unique_ptr<loop::Timer> pause_;
};

}  // namespace

Result<std::shared_ptr<DatagramHub>> InitiatorSockets::hub(loop::Loop& loop, const loop::Address& peer,
                                                           loop::PortRange range) {
  auto& hub = hubs_[{peer.is_ipv4() ? 4 : 6, {range.low, range.high}}];
  if (hub) return hub;
  auto socket = loop::bind_datagram_in_range(loop, loop::Address::any_like(peer), range);
  if (!socket) return std::unexpected(std::move(socket).error().during("looking at reserved-udp-port"));
  hub = DatagramHub::initiator(loop, std::move(*socket));
  return hub;
}

std::unique_ptr<loop::Operation> connect_by_datagrams(loop::Loop& loop, InitiatorSockets& sockets, Peer peer,
                                                      MakeCarrier make_carrier, PathReady ready) {
  return std::make_unique<Connecting>(loop, sockets, std::move(peer), std::move(make_carrier),
                                      std::move(ready));
}

}  // namespace headrace::auth
