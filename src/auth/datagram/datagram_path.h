// The way of an initiator by datagrams. All conversations of a process, with whatever client, share one UDP
// socket on a reserved port: there are few of those (21 in Debian's build of Amanda) and many dumps at once.
// Loop thread.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "auth/connect.h"
#include "auth/datagram/carrier.h"
#include "auth/datagram/hub.h"

namespace headrace::auth {

// When all ports of the range are taken, by other programs: so many tries, so far apart.
inline constexpr int kPortTries = 20;
inline constexpr base::Duration kPortPause = std::chrono::seconds(15);

// The sockets: one for each address family and range of source ports. Owned by the Connector.
class InitiatorSockets {
 public:
  // Errors: again (all ports in use), refused (ports below 1024 are not for us).
  base::Result<std::shared_ptr<DatagramHub>> hub(loop::Loop& loop, const loop::Address& peer,
                                                 loop::PortRange range);

 private:
  std::map<std::pair<int, std::pair<uint16_t, uint16_t>>, std::shared_ptr<DatagramHub>> hubs_;
};

// Looks the host up and takes a socket; nothing is sent yet, so whether anybody is there shows with the first
// request. Of a host with addresses of both families those of IPv4 are used: Amanda's clients listen there.
[[nodiscard]] std::unique_ptr<loop::Operation> connect_by_datagrams(loop::Loop& loop,
                                                                    InitiatorSockets& sockets, Peer peer,
                                                                    MakeCarrier make_carrier,
                                                                    PathReady ready);

}  // namespace headrace::auth
