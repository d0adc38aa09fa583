// The TCP ports on which a responder awaits its streams: each offered stream listens on one port out of a
// range until its one connection has come, so that a range of a hundred serves any number of streams, if not
// all in the same moment. Who finds too few free ports waits for them in turn, at most kPortWait, and all the
// ports of one offer are given together. Shared by the conversations of a process. Loop thread.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "base/alive.h"
#include "base/error.h"
#include "base/fd.h"
#include "loop/loop.h"
#include "loop/net.h"

namespace headrace::auth {

inline constexpr base::Duration kPortWait = std::chrono::seconds(30);
// Ports of other programs become free without our hearing of it.
inline constexpr base::Duration kPortRetry = std::chrono::seconds(1);
// From the peer's ACK to its connecting.
inline constexpr base::Duration kConnectWait = std::chrono::seconds(30);
// FTP's data port: what connects from it was made to by somebody else. Amanda ignores it too.
inline constexpr uint16_t kFtpDataPort = 20;

class StreamPorts;

// One port that waits for one connection from one host. Others' connections are closed at once. Destroying it
// frees the port and drops a connection not taken.
class Door {
 public:
  using Connected = std::move_only_function<void(base::Result<base::Fd>)>;

  Door(std::shared_ptr<StreamPorts> ports, const loop::Address& peer)
      : ports_(std::move(ports)), peer_(peer) {}
  ~Door() { close(); }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  uint16_t port() const { return port_; }
  // Called once, as soon as the connection is there.
  void on_connection(loop::Callback callback) { noticed_ = std::move(callback); }
  // Gives the connection, or `gone` after kConnectWait. Called later, once.
  void await(Connected connected);

 private:
  friend class StreamPorts;
  base::Result<> listen(uint16_t first_port);
  void accepted(base::Fd connection, const loop::Address& from);
  void close();
  void tell(base::Result<base::Fd> outcome);

  std::shared_ptr<StreamPorts> ports_;  // shared by all doors of a process, which outlive its owner
  const loop::Address peer_;
  uint16_t port_ = 0;
  std::unique_ptr<loop::Listener> listener_;
  base::Fd connection_;
  loop::Callback noticed_;
  Connected connected_;
  std::unique_ptr<loop::Timer> timeout_;
  base::Alive alive_;
};

class StreamPorts : public std::enable_shared_from_this<StreamPorts> {
 public:
  using Doors = std::vector<std::unique_ptr<Door>>;
  using Opened = std::move_only_function<void(base::Result<Doors>)>;

  StreamPorts(loop::Loop& loop, loop::PortRange range) : loop_(loop), range_(range) {}

  // `count` ports for connections from `peer`, called back later. Destroying the operation cancels.
  [[nodiscard]] std::unique_ptr<loop::Operation> open(size_t count, const loop::Address& peer, Opened opened);
  // Connections that came from another host than the one that was to come.
  uint64_t strangers() const { return strangers_; }

 private:
  friend class Door;
  struct Waiting {
    uint64_t number;
    size_t count;
    loop::Address peer;
    Opened opened;
    base::Instant since;
  };
  class Place;

  base::Result<Doors> try_open(size_t count, const loop::Address& peer);
  void freed();
  void serve_waiting();

  loop::Loop& loop_;
  const loop::PortRange range_;
  uint16_t next_ = 0;  // where the search goes on, so that a port just used rests longest
  std::list<Waiting> waiting_;
  uint64_t next_number_ = 0;
  bool serve_posted_ = false;
  std::unique_ptr<loop::Timer> retry_;
  uint64_t strangers_ = 0;
};

}  // namespace headrace::auth
