#include "sim/sim_network.h"

#include <fmt/format.h>

#include "auth/bsdtcp/bsdtcp.h"
#include "auth/mux/copying_transport.h"
#include "base/alive.h"

namespace headrace::sim {

namespace {

// As long as the kernel takes to give up on a machine that is switched off.
constexpr auto kNobodyAnswers = std::chrono::seconds(127);

class Dialling : public loop::Operation {
 public:
  std::unique_ptr<loop::Timer> timer;
};

class DatagramPath : public auth::Path {
 public:
  DatagramPath(std::shared_ptr<auth::DatagramHub> hub, const loop::Address& to, auth::MakeCarrier carriers)
      : hub_(std::move(hub)), to_(to), carriers_(std::make_shared<auth::MakeCarrier>(std::move(carriers))) {}
  std::unique_ptr<auth::Conversation> begin() override { return hub_->begin({to_}, carriers_); }
  bool names_user() const override { return true; }

 private:
  std::shared_ptr<auth::DatagramHub> hub_;  // shared by all paths of the server
  const loop::Address to_;
  std::shared_ptr<auth::MakeCarrier> carriers_;  // shared with its conversations
};

loop::Address server_address() { return loop::Address::ipv4(0x0A4D0001, 850); }

}  // namespace

std::unique_ptr<loop::Operation> SimNetwork::connect(auth::Peer peer, auth::PathReady ready) {
  auto dialling = std::make_unique<Dialling>();
  const auto host = hosts_.find(peer.host);
  if (peer.auth == "bsd" && host != hosts_.end()) {
    dialling->timer =
        loop_.after(base::Duration(), [this, name = peer.host, ready = std::move(ready)]() mutable {
          connect_by_datagrams(name, std::move(ready));
        });
    return dialling;
  }
  if (host == hosts_.end() || host->second.way.down) {
    dialling->timer = loop_.after(kNobodyAnswers, [name = peer.host, ready = std::move(ready)]() mutable {
      ready(base::fail(base::ErrorKind::gone, fmt::format("connecting to {}: nobody answers", name)));
    });
    return dialling;
  }
  dialling->timer = loop_.after(
      host->second.way.latency * 2,
      [this, name = peer.host, ready = std::move(ready)]() mutable { connected(name, std::move(ready)); });
  return dialling;
}

SimConnection SimNetwork::make_connection(const std::string& name) {
  const Host& host = hosts_.at(name);
  SimLinkOptions there{.name = "to " + name, .latency = host.way.latency};
  SimLinkOptions back{
      .name = "from " + name, .latency = host.way.latency, .bytes_per_second = host.way.bytes_per_second};
  if (random_.one_in(host.way.cut_one_in)) {
    ++faults_;
    back.reset_after_bytes = random_.below(host.way.cut_within_bytes);
  }
  auto connection = make_sim_connection(loop_, std::move(there), std::move(back));
  if (random_.one_in(host.way.silence_one_in)) {
    ++faults_;
    loop_.post([link = connection.b_to_a] { link->go_silent(); });
  }
  return connection;
}

void SimNetwork::connected(const std::string& name, auth::PathReady ready) {
  auto connection = make_connection(name);
  hosts_.at(name).accept(auth::make_mux(
      loop_, std::make_unique<auth::CopyingTransport>(std::move(connection.b)), auth::End::responder));
  ready(auth::path_over_mux(
      auth::make_mux(loop_, std::make_unique<auth::CopyingTransport>(std::move(connection.a)),
                     auth::End::initiator),
      true, -1));
}

void SimNetwork::add_by_datagrams(const std::string& name, SimWay way, const Serve& serve) {
  Host& host = hosts_[name];
  host.way = way;
  host.address = loop::Address::ipv4(0x0A4D0100 + static_cast<uint32_t>(hosts_.size()), 10080);
  host.meeting = std::make_unique<SimMeeting>([this, name] { return make_connection(name); });
  // Of one that is down nobody listens.
  if (way.down) return;
  serve(auth::DatagramHub::responder(loop_, datagrams_.bind(host.address), host.meeting->carriers()),
        host.address);
}

void SimNetwork::connect_by_datagrams(const std::string& name, auth::PathReady ready) {
  if (!hub_) hub_ = auth::DatagramHub::initiator(loop_, datagrams_.bind(server_address()));
  Host& host = hosts_.at(name);
  ready(std::make_unique<DatagramPath>(hub_, host.address, host.meeting->carriers()));
}

}  // namespace headrace::sim
