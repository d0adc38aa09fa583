#include "auth/connect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "auth/bsd/bsd.h"
#include "auth/bsdtcp/bsdtcp.h"
#include "auth/bsdudp/bsdudp.h"
#include "auth/datagram/datagram_path.h"
#include "auth/local/local.h"
#include "auth/ssh/ssh.h"
#include "base/alive.h"

namespace headrace::auth {

namespace {

class Refusal : public loop::Operation {
 public:
  Refusal(loop::Loop& loop, std::string auth, PathReady ready) {
    loop.post([alive = alive_.ref(), auth = std::move(auth), ready = std::move(ready)]() mutable {
      if (alive.expired()) return;
      ready(base::fail(
          base::ErrorKind::unsupported,
          fmt::format(
              "auth \"{}\" cannot be used yet; \"bsd\", \"bsdtcp\", \"bsdudp\", \"ssh\" and \"local\" can",
              auth)));
    });
  }

 private:
  base::Alive alive_;
};

}  // namespace

NetConnector::NetConnector(loop::Loop& loop) : loop_(loop), sockets_(std::make_unique<InitiatorSockets>()) {}
NetConnector::~NetConnector() = default;

std::unique_ptr<loop::Operation> NetConnector::connect(Peer peer, PathReady ready) {
  std::ranges::transform(peer.auth, peer.auth.begin(), [](unsigned char c) { return std::tolower(c); });
  if (peer.auth == "bsdtcp") return connect_bsdtcp(loop_, std::move(peer), std::move(ready));
  if (peer.auth == "bsd" || peer.auth == "bsdudp") {
    auto carrier = peer.auth == "bsd" ? connect_streams_by_bsd(loop_, peer.stream_ports)
                                      : connect_streams_by_bsdudp(loop_, peer.stream_ports);
    return connect_by_datagrams(loop_, *sockets_, std::move(peer), std::move(carrier), std::move(ready));
  }
  if (peer.auth == "ssh") return connect_ssh(loop_, std::move(peer), std::move(ready));
  if (peer.auth == "local") return connect_local(loop_, std::move(peer), std::move(ready));
  return std::make_unique<Refusal>(loop_, std::move(peer.auth), std::move(ready));
}

}  // namespace headrace::auth
