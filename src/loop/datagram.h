// One UDP socket on the loop: whole datagrams in and out, none of it blocking. Owned by whoever speaks on it;
// loop thread. Datagrams may be lost, doubled, late or out of order, as on any network; whoever cares sends
// again. Knows nothing of what they say.
//
// Bounds: kMaxQueuedDatagramBytes wait for the kernel to take them, a datagram that the kernel refuses for
// the moment is tried kDatagramTries times, kDatagramRetryPause apart, and kDatagramsPerTurn are received
// before other work gets its turn. What does not fit or cannot be sent is dropped and counted, as a network
// would.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "loop/loop.h"
#include "loop/net.h"

namespace headrace::loop {

inline constexpr size_t kMaxQueuedDatagramBytes = size_t{8} << 20U;
inline constexpr int kDatagramTries = 5;
inline constexpr base::Duration kDatagramRetryPause = std::chrono::seconds(1);
inline constexpr int kDatagramsPerTurn = 64;

class DatagramSocket {
 public:
  // The bytes are there for the call alone. `to` is our address that the datagram was sent to; answers should
  // come from it (a machine may have several). The callback may destroy the socket.
  using Received = std::move_only_function<void(base::Bytes bytes, const Address& from, const Address& to)>;

  virtual ~DatagramSocket() = default;
  // Set once, before anything can arrive.
  virtual void on_datagram(Received received) = 0;
  // Sends at once, or as soon as the kernel takes it. Without `from` (length 0) the kernel chooses the
  // address it comes from. An error is about this datagram and final (too large, no route, not permitted).
  virtual base::Result<> send(std::string bytes, const Address& to, const Address& from = {}) = 0;
  virtual Address local() const = 0;
  virtual uint64_t dropped() const = 0;
};

// `local` may have port 0: the kernel then chooses one.
base::Result<std::unique_ptr<DatagramSocket>> bind_datagram(Loop& loop, const Address& local);
// The highest free port of the range, passing over those in use; again when all are. Ports below 1024 need
// CAP_NET_BIND_SERVICE; without it the error (refused) says so.
base::Result<std::unique_ptr<DatagramSocket>> bind_datagram_in_range(Loop& loop, Address local,
                                                                     PortRange range);
// A bound socket that was handed to us (inetd "wait", systemd); takes ownership.
base::Result<std::unique_ptr<DatagramSocket>> adopt_datagram(Loop& loop, base::Fd socket);

}  // namespace headrace::loop
