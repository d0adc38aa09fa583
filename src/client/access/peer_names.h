// The checked names of the hosts that ask, looked up by name servers that may be slow or dead. Requests of
// one host share one lookup, and hosts that were never let in cannot keep those waiting that were: they are
// looked up on a lane of their own, kMaxStrangers of them at most. Loop thread. Says nothing of who may do
// what.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "loop/loop.h"
#include "loop/net.h"

namespace headrace::client {

// Hosts not known yet that are being looked up, requests that wait for one host's name, hosts remembered.
inline constexpr size_t kMaxStrangers = 32;
inline constexpr size_t kMaxWaitingForName = 1024;
inline constexpr size_t kMaxKnownHosts = 256;

class PeerNames {
 public:
  using Named = std::move_only_function<void(base::Result<std::string>)>;
  // auth::check_host, or a test's.
  using Check = std::function<std::unique_ptr<loop::Operation>(const loop::Address&, loop::LookupFor, Named)>;

  PeerNames(loop::Loop& loop, Check check) : loop_(loop), check_(std::move(check)) {}

  // Calls back later; again when too many are being looked up.
  void ask(const loop::Address& peer, Named named);
  // The host was let in: from now on it is served before strangers.
  void remember(const loop::Address& peer);

 private:
  struct Lookup {
    std::unique_ptr<loop::Operation> operation;
    std::vector<Named> waiting;
    bool stranger = false;
  };
  void answer(const std::string& host, base::Result<std::string> name);

  loop::Loop& loop_;
  Check check_;
  std::map<std::string, Lookup> lookups_;  // by the address as text
  size_t strangers_ = 0;
  std::list<std::string> known_;  // latest first
};

}  // namespace headrace::client
