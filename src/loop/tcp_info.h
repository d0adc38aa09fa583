// What the kernel knows of a TCP connection, as values: who held up the sender, how far away the peer is,
// what was lost. One system call; no state. Source: tcp(7), linux/tcp.h; an older kernel that gives less
// leaves the rest zero.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace headrace::loop {

// Counters grow over the life of the connection; the others are of this moment.
struct TcpFacts {
  using Micros = std::chrono::microseconds;
  // Of what we send.
  Micros busy{};            // counter: data was on its way or waiting
  Micros rwnd_limited{};    // counter, part of busy: the receiver's window was full
  Micros sndbuf_limited{};  // counter, part of busy: our own send buffer was too small
  uint64_t bytes_acked = 0;
  uint64_t retransmits = 0;    // counter
  uint64_t delivery_rate = 0;  // bytes a second, as last measured
  // Of what we receive.
  uint64_t bytes_received = 0;
  uint64_t segments_received = 0;  // counter: with data in them
  uint64_t out_of_order = 0;       // counter
  uint32_t receive_mss = 0;        // the largest segment seen lately
  Micros receive_rtt{};            // as seen from our end while receiving; 0: not known
  // Of the path.
  Micros rtt{};
  Micros least_rtt{};

  bool operator==(const TcpFacts&) const = default;
};

// nullopt: no descriptor, no TCP socket.
std::optional<TcpFacts> tcp_facts_of(int fd);

}  // namespace headrace::loop
