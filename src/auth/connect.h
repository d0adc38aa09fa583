// Reaching a client as initiator, by the name of its auth. Loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/conversation.h"
#include "base/error.h"
#include "loop/loop.h"
#include "loop/net.h"

namespace headrace::auth {

// Where and how, from the dumptype and the configuration.
struct Peer {
  std::string host;
  std::string auth = "bsdtcp";     // any case
  uint16_t port = 10080;           // client-port
  uint16_t source_port_low = 512;  // reserved-tcp-port
  uint16_t source_port_high = 1023;
  int tries = 3;                  // connect-tries, five seconds apart
  std::string amandad_path = {};  // local: the client program; empty: this program
};

using PathReady = std::move_only_function<void(base::Result<std::unique_ptr<Path>>)>;

// Destroying the operation cancels. An unknown auth gives `unsupported` and names those that are known.
[[nodiscard]] std::unique_ptr<loop::Operation> connect(loop::Loop& loop, Peer peer, PathReady ready);

}  // namespace headrace::auth
