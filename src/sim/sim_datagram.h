// UDP sockets in memory on virtual time, and a network between them that loses, doubles, delays and reorders.
// Loop thread; the SimLoop outlives the network, the network its sockets.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "loop/datagram.h"
#include "sim/random.h"
#include "sim/sim_loop.h"

namespace headrace::sim {

struct SimNetOptions {
  base::Duration latency = std::chrono::milliseconds(1);
  base::Duration jitter{};   // added to the latency, up to so much, drawn from the seed: reorders
  unsigned lose_one_in = 0;  // drawn from the seed; 0: never
  unsigned double_one_in = 0;
  uint64_t seed = 1;
};

class SimDatagramNet {
 public:
  // After which delays copies of a datagram arrive; none: it is lost.
  using Fate = std::vector<base::Duration>;
  using Judge =
      std::function<Fate(const std::string& bytes, const loop::Address& from, const loop::Address& to)>;

  explicit SimDatagramNet(SimLoop& loop, SimNetOptions options = {})
      : loop_(loop), options_(options), random_(options.seed) {}

  std::unique_ptr<loop::DatagramSocket> bind(const loop::Address& local);
  // A test decides about each datagram itself; empty: as the options say.
  void judge_by(Judge judge) { judge_ = std::move(judge); }
  // A datagram of nobody's, as if it came from `from`; it arrives at once.
  void inject(const std::string& bytes, const loop::Address& from, const loop::Address& to);
  uint64_t sent() const { return sent_; }

 private:
  class Socket;
  void send(std::string bytes, const loop::Address& from, const loop::Address& to);
  Fate fate(const std::string& bytes, const loop::Address& from, const loop::Address& to);

  SimLoop& loop_;
  const SimNetOptions options_;
  Random random_;
  Judge judge_;
  std::map<std::string, Socket*> sockets_;  // by address as text
  uint64_t sent_ = 0;
};

}  // namespace headrace::sim
