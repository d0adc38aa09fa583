// bsd: requests and replies are UDP datagrams, the initiator's from a reserved port; each stream is a TCP
// connection of its own, which the initiator makes to a port that the reply names. Both ends.
#pragma once

#include <memory>

#include "auth/datagram/carrier.h"
#include "auth/datagram/stream_ports.h"

namespace headrace::auth {

// Streams of the responder: each listens on a port of `ports`.
MakeCarrier accept_by_bsd(loop::Loop& loop, std::shared_ptr<StreamPorts> ports);
// Streams of the initiator: each connects from a port of `range`.
MakeCarrier connect_streams_by_bsd(loop::Loop& loop, loop::PortRange range);

}  // namespace headrace::auth
