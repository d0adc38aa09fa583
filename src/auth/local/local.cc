#include "auth/local/local.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "auth/bsdtcp/bsdtcp.h"
#include "base/fd.h"
#include "loop/fd_stream.h"
#include "loop/process.h"

namespace headrace::auth {

namespace {

using base::ErrorKind;
using base::Fd;
using base::Result;

// Read from one descriptor, write to the other, as one transport. Ends the child with itself.
class ChildTransport : public loop::Duplex {
 public:
  ChildTransport(std::unique_ptr<loop::Process> child, std::unique_ptr<loop::Duplex> from_child,
                 std::unique_ptr<loop::Duplex> to_child)
      : child_(std::move(child)), from_child_(std::move(from_child)), to_child_(std::move(to_child)) {}

  loop::IoResult read(base::MutableBytes into) override { return from_child_->read(into); }
  void await_readable(loop::Ready ready) override { from_child_->await_readable(std::move(ready)); }
  void close_read() override { from_child_->close_read(); }
  loop::IoResult write(std::span<const iovec> pieces) override { return to_child_->write(pieces); }
  void await_writable(loop::Ready ready) override { to_child_->await_writable(std::move(ready)); }
  void finish(std::move_only_function<void(Result<>)> done) override { to_child_->finish(std::move(done)); }
  void abandon() override { to_child_->abandon(); }
  base::Error error() const override {
    return base::Error(ErrorKind::gone, "the local client program went away");
  }

 private:
  std::unique_ptr<loop::Process> child_;
  std::unique_ptr<loop::Duplex> from_child_;
  std::unique_ptr<loop::Duplex> to_child_;
};

// An address belongs to this machine when a socket can be bound to it.
bool is_ours(loop::Address address) {
  address.set_port(0);
  const Fd probe(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe &&
         ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0;
}

Result<std::unique_ptr<Path>> start_child(loop::Loop& loop, const Peer& peer) {
  loop::Spawn what;
  what.program = peer.amandad_path.empty() ? "/proc/self/exe" : peer.amandad_path;
  what.arguments = {peer.amandad_path.empty() ? "amandad" : peer.amandad_path, "-auth=local"};
  what.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const char* name : {"HOME", "USER", "LOGNAME", "TZ"}) {
    if (const char* value = std::getenv(name)) what.environment.push_back(fmt::format("{}={}", name, value));
  }
  what.descriptors = {{0, loop::ChildFd::From::pipe_from_parent, -1},
                      {1, loop::ChildFd::From::pipe_to_parent, -1},
                      {2, loop::ChildFd::From::given, STDERR_FILENO}};
  auto child = loop::spawn(loop, what);
  if (!child) return std::unexpected(std::move(child).error());
  auto to_child = loop::make_fd_stream(loop, (*child)->take_pipe(0), loop::FdKind::pipe);
  auto from_child = loop::make_fd_stream(loop, (*child)->take_pipe(1), loop::FdKind::pipe);
  if (!to_child) return std::unexpected(std::move(to_child).error());
  if (!from_child) return std::unexpected(std::move(from_child).error());
  auto transport =
      std::make_unique<ChildTransport>(std::move(*child), std::move(*from_child), std::move(*to_child));
  return path_over_mux(make_mux(loop, std::move(transport), End::initiator), false, -1);
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
