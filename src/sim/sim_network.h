// The network of a simulated site: reaches machines by name, over framed connections in memory with the real
// protocol on them, and does to them what networks do. Loop thread; the loop outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/connect.h"
#include "auth/datagram/hub.h"
#include "auth/mux/mux_connection.h"
#include "sim/random.h"
#include "sim/sim_carrier.h"
#include "sim/sim_datagram.h"
#include "sim/sim_loop.h"
#include "sim/sim_stream.h"

namespace headrace::sim {

// The way to one machine.
struct SimWay {
  uint64_t bytes_per_second = 0;  // of each connection, from the machine; 0: no limit
  base::Duration latency = std::chrono::milliseconds(1);
  bool down = false;            // nobody answers: what connects fails after its tries
  unsigned cut_one_in = 0;      // so many connections are reset somewhere on their way; 0: never
  unsigned silence_one_in = 0;  // … or fall silent for good
  uint64_t cut_within_bytes = 100'000;
};

class SimNetwork : public auth::Connector {
 public:
  // Gets the machine's end of each connection.
  using Accept = std::function<void(std::shared_ptr<auth::MuxConnection>)>;

  SimNetwork(SimLoop& loop, uint64_t seed, SimNetOptions datagrams = {})
      : loop_(loop), random_(seed), datagrams_(loop, datagrams) {}

  void add(const std::string& host, SimWay way, Accept accept) {
    hosts_[host] = {.way = way, .accept = std::move(accept)};
  }
  // A machine that is reached by datagrams, with "bsd"; gets the machine's end of all its conversations,
  // once.
  using Serve = std::function<void(std::shared_ptr<auth::Arrivals>, const loop::Address&)>;
  void add_by_datagrams(const std::string& host, SimWay way, const Serve& serve);
  // Connections reset or silenced so far.
  uint64_t faults() const { return faults_; }

  // "bsd" by datagrams and a connection a stream; all others are framed connections here. An unknown host is
  // `gone`, as one that is down; by datagrams it does not answer.
  [[nodiscard]] std::unique_ptr<loop::Operation> connect(auth::Peer peer, auth::PathReady ready) override;

 private:
  struct Host {
    SimWay way;
    Accept accept = {};
    loop::Address address = {};                // by datagrams
    std::unique_ptr<SimMeeting> meeting = {};  // its streams'
  };
  void connected(const std::string& name, auth::PathReady ready);
  SimConnection make_connection(const std::string& name);
  void connect_by_datagrams(const std::string& name, auth::PathReady ready);

  SimLoop& loop_;
  Random random_;
  std::map<std::string, Host> hosts_;
  SimDatagramNet datagrams_;
  std::shared_ptr<auth::DatagramHub> hub_;  // the server's, shared with its conversations
  uint64_t faults_ = 0;
};

}  // namespace headrace::sim
