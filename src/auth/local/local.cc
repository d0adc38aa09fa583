#include "auth/local/local.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/bsdtcp/bsdtcp.h"
#include "auth/child/child_transport.h"
#include "base/fd.h"

namespace headrace::auth {

namespace {

using base::ErrorKind;
using base::Fd;
using base::Result;

// An address belongs to this machine when a socket can be bound to it.
bool is_ours(loop::Address address) {
  address.set_port(0);
  const Fd probe(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe &&
         ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0;
}

Result<std::unique_ptr<Path>> start_child(loop::Loop& loop, const Peer& peer) {
  ChildPeer child;
  child.name = "the local client program";
  child.program = peer.amandad_path.empty() ? "/proc/self/exe" : peer.amandad_path;
  child.arguments = {peer.amandad_path.empty() ? "amandad" : peer.amandad_path, "-auth=local"};
  child.environment = environment_with({"HOME", "USER", "LOGNAME", "TZ"});
  auto transport = run_as_transport(loop, std::move(child));
  if (!transport) return std::unexpected(std::move(transport).error());
  return path_over_mux(make_mux(loop, std::move(*transport), End::initiator), false, -1);
}

}  // namespace

std::unique_ptr<loop::Operation> connect_local(loop::Loop& loop, Peer peer, PathReady ready) {
  std::string host = peer.host;
  return loop::resolve(
      loop, std::move(host), peer.port,
      [&loop, peer = std::move(peer), ready = std::move(ready)](Result<loop::ResolvedName> name) mutable {
        if (!name) return ready(std::unexpected(std::move(name).error()));
        for (const auto& address : name->addresses) {
          if (!is_ours(address)) continue;
          auto path = start_child(loop, peer);
          if (!path)
            return ready(
                std::unexpected(std::move(path).error().during("starting the local client program")));
          return ready(std::move(path));
        }
        ready(base::fail(
            ErrorKind::refused,
            fmt::format("{} is not this machine: auth \"local\" reaches only the server itself", peer.host)));
      });
}

}  // namespace headrace::auth
