// bsdudp: requests and replies as bsd's datagrams; the streams of one reply share one TCP connection as
// frames. The first stream's number is the connection's port and that stream's handle at once; the others are
// numbers below 500000, as bsdtcp's. A connection carries the streams of one reply, so those of one dump.
// Both ends.
#pragma once

#include <memory>

#include "auth/datagram/carrier.h"
#include "auth/datagram/stream_ports.h"

namespace headrace::auth {

// Once the reply's conversation is over, the connection stays for its last frames to be taken, until the peer
// closes it, at most so long.
inline constexpr base::Duration kStreamsLinger = std::chrono::seconds(60);

MakeCarrier accept_by_bsdudp(loop::Loop& loop, std::shared_ptr<StreamPorts> ports);
MakeCarrier connect_streams_by_bsdudp(loop::Loop& loop, loop::PortRange range);

}  // namespace headrace::auth
