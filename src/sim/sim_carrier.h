// Streams of conversations by datagrams, without ports: both ends meet in a table by number. What is opened
// before it is accepted counts as connected, as with TCP; what nobody offered is refused. Loop thread;
// outlives the carriers it makes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "auth/datagram/carrier.h"
#include "sim/sim_loop.h"
#include "sim/sim_stream.h"

namespace headrace::sim {

class SimMeeting {
 public:
  // Makes the connection of each stream that is opened; `b` is the end of who accepts it.
  using MakeConnection = std::function<SimConnection()>;

  explicit SimMeeting(MakeConnection make_connection) : make_connection_(std::move(make_connection)) {}
  // For hubs of either end.
  auth::MakeCarrier carriers();

 private:
  class Half;
  struct Place {
    std::unique_ptr<loop::Duplex> far;
    auth::StreamReady waiting;
    loop::Callback* connected = nullptr;
  };
  MakeConnection make_connection_;
  std::map<uint32_t, Place> places_;
  uint32_t next_ = 1;
};

}  // namespace headrace::sim
