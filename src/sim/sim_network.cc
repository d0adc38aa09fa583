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

}  // namespace

std::unique_ptr<loop::Operation> SimNetwork::connect(auth::Peer peer, auth::PathReady ready) {
  auto dialling = std::make_unique<Dialling>();
  const auto host = hosts_.find(peer.host);
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

void SimNetwork::connected(const std::string& name, auth::PathReady ready) {
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
  host.accept(auth::make_mux(loop_, std::make_unique<auth::CopyingTransport>(std::move(connection.b)),
                             auth::End::responder));
  ready(auth::path_over_mux(
      auth::make_mux(loop_, std::make_unique<auth::CopyingTransport>(std::move(connection.a)),
                     auth::End::initiator),
      true, -1));
}

}  // namespace headrace::sim
