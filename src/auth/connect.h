// Reaching clients as initiator, by the name of their auth. A program makes one Connector, which holds what
// its paths share, and hands it down to whoever talks with clients. Loop thread.
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
  uint16_t port = 10080;           // client-port; with ssh 0: what ssh's own configuration says
  uint16_t source_port_low = 512;  // reserved-tcp-port
  uint16_t source_port_high = 1023;
  loop::PortRange udp_ports = {512, 1023};        // reserved-udp-port: bsd, bsdudp
  loop::PortRange stream_ports = {50000, 50100};  // unreserved-tcp-port: bsd, bsdudp
  int tries = 3;                                  // connect-tries, five seconds apart
  // The client program; empty: with local this one, with ssh Amanda's place for it.
  std::string amandad_path = {};
  std::string client_username = {};  // ssh: who logs in
  std::string ssh_keys = {};         // ssh: the file of the private key; empty: ssh's own choice
};

using PathReady = std::move_only_function<void(base::Result<std::unique_ptr<Path>>)>;

class Connector {
 public:
  Connector() = default;
  virtual ~Connector() = default;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // Destroying the operation cancels. An unknown auth gives `unsupported` and names those that are known.
  // Paths may outlive the connector.
  [[nodiscard]] virtual std::unique_ptr<loop::Operation> connect(Peer peer, PathReady ready) = 0;
};

class InitiatorSockets;

// By the machine's network, or to programs on this machine, as the auth says.
class NetConnector : public Connector {
 public:
  // Borrows the loop.
  explicit NetConnector(loop::Loop& loop);
  ~NetConnector() override;

  [[nodiscard]] std::unique_ptr<loop::Operation> connect(Peer peer, PathReady ready) override;

 private:
  loop::Loop& loop_;
  std::unique_ptr<InitiatorSockets> sockets_;
};

}  // namespace headrace::auth
