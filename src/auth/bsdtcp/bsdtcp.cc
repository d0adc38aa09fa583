#include "auth/bsdtcp/bsdtcp.h"

#include <fmt/format.h>

#include "loop/fd_stream.h"

namespace headrace::auth {

namespace {

using base::Result;

class MuxPath : public Path {
 public:
  MuxPath(std::shared_ptr<MuxConnection> mux, bool names_user, int native_fd)
      : mux_(std::move(mux)), names_user_(names_user), native_fd_(native_fd) {}
  std::unique_ptr<Conversation> begin() override { return mux_->begin(); }
  bool names_user() const override { return names_user_; }
  int native_fd() const override { return native_fd_; }

 private:
  std::shared_ptr<MuxConnection> mux_;  // shared with its conversations and streams
  bool names_user_;
  int native_fd_;
};

// Resolve, connect, and again after a pause, as often as connect-tries says.
class Connecting : public loop::Operation {
 public:
  Connecting(loop::Loop& loop, Peer peer, PathReady ready)
      : loop_(loop), peer_(std::move(peer)), ready_(std::move(ready)), tries_left_(std::max(peer_.tries, 1)) {
    attempt();
  }

 private:
  static constexpr auto kPause = std::chrono::seconds(5);

  void attempt() {
    --tries_left_;
    step_ = loop::resolve(loop_, peer_.host, peer_.port, [this](Result<loop::ResolvedName> name) {
      if (!name) return failed(std::move(name).error());
      loop::ConnectOptions options;
      options.source_port_low = peer_.source_port_low;
      options.source_port_high = peer_.source_port_high;
      step_ = loop::connect_tcp(loop_, std::move(name->addresses), options,
                                [this](Result<base::Fd> fd) { connected(std::move(fd)); });
    });
  }

  void connected(Result<base::Fd> fd) {
    if (!fd) return failed(std::move(fd).error());
    const int native = fd->get();
    auto stream = loop::make_fd_stream(loop_, std::move(*fd), loop::FdKind::socket);
    if (!stream) return failed(std::move(stream).error());
    auto ready = std::move(ready_);
    ready(path_over_mux(make_mux(loop_, std::move(*stream), End::initiator), true, native));
  }

  void failed(base::Error error) {
    if (tries_left_ > 0 && error.kind() != base::ErrorKind::refused) {
      pause_ = loop_.after(kPause, [this] { attempt(); });
      return;
    }
    std::string doing = fmt::format("connecting to {} by bsdtcp", peer_.host);
    if (error.kind() == base::ErrorKind::gone) {
      doing += fmt::format(
          "; is the client (headrace client, or amandad by inetd) listening there on port {}?", peer_.port);
    }
    auto ready = std::move(ready_);
    ready(std::unexpected(std::move(error).during(doing)));
  }

  loop::Loop& loop_;
  Peer peer_;
  PathReady ready_;
  int tries_left_;
  std::unique_ptr<loop::Operation> step_;
  std::unique_ptr<loop::Timer> pause_;
};

}  // namespace

std::unique_ptr<Path> path_over_mux(std::shared_ptr<MuxConnection> mux, bool names_user, int native_fd) {
  return std::make_unique<MuxPath>(std::move(mux), names_user, native_fd);
}

std::unique_ptr<loop::Operation> connect_bsdtcp(loop::Loop& loop, Peer peer, PathReady ready) {
  return std::make_unique<Connecting>(loop, std::move(peer), std::move(ready));
}

}  // namespace headrace::auth
