#include "cli/client_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <set>

#include "auth/bsd/bsd.h"
#include "auth/bsdudp/bsdudp.h"
#include "auth/datagram/hub.h"
#include "auth/mux/mux_connection.h"
#include "auth/ssh/ssh.h"
#include "cli/client_sockets.h"
#include "client/access/access.h"
#include "client/services.h"
#include "config/client_config.h"
#include "exchange/responder.h"
#include "loop/datagram.h"
#include "loop/descriptor_limit.h"
#include "loop/fd_stream.h"
#include "loop/loop.h"
#include "loop/net.h"
#include "loop/signals.h"

namespace headrace::cli {

namespace {

using base::ErrorKind;
using base::Fd;
using base::Result;

// Where the streams of bsd and bsdudp are awaited when the configuration says nothing (Debian's Amanda).
constexpr loop::PortRange kStreamPorts = {50000, 50100};
// Under inetd's "wait" we end when nothing has come for so long, as amandad does. Until then every packet is
// read: xinetd throws away what it finds in the socket when its server has ended, and a server's next request
// follows the last one's acknowledgement within a millisecond.
constexpr auto kIdleEnd = std::chrono::seconds(30);
constexpr auto kTellDroppedEvery = std::chrono::minutes(1);
// A server that comes by ssh is kept waiting so long for its name.
constexpr auto kNamingGrace = std::chrono::seconds(5);
// Blocking work of a client: reading lists and state files, name checks.
constexpr unsigned kWorkers = 4;

// "amdump" stands for the four services of a backup client; without words these are what is offered. The
// recovery services, which inetd lines of servers name too, are not a client's and are left out.
std::set<std::string> offered(const std::vector<std::string>& words) {
  const auto all = client::all_services();
  if (words.empty()) return all;
  std::set<std::string> services;
  for (const auto& word : words) {
    if (word == "amdump") {
      services.insert(all.begin(), all.end());
    } else if (all.contains(word)) {
      services.insert(word);
    }
  }
  return services;
}

// The peer sees our end when the descriptors close: we may not hold them twice. inetd makes the connection
// our standard error too, where a stray word would break the protocol; sshd keeps that apart.
void let_go_of_standard_descriptors(bool keep_error = false) {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(null.get(), STDOUT_FILENO);
  if (keep_error) return;
  struct stat error{};
  if (::fstat(STDERR_FILENO, &error) != 0 || S_ISSOCK(error.st_mode)) ::dup2(null.get(), STDERR_FILENO);
}

// Tells the operator of the client whom it turned away and why; the server's operator has it in the NAK, if
// he gets one. Of a flood only the beginning of each minute is told, and how many more there were.
class TellingAuthorizer : public auth::Authorizer {
 public:
  TellingAuthorizer(loop::Loop& loop, std::unique_ptr<auth::Authorizer> judge)
      : loop_(loop), judge_(std::move(judge)) {}
  void ask(auth::Question question, auth::Answer answer) override {
    std::string who =
        fmt::format("{} asked by {} over {}", question.service, asker(question.origin), question.origin.auth);
    judge_->ask(std::move(question), [this, who = std::move(who), answer = std::move(answer)](
                                         std::expected<std::string, auth::Denial> host) mutable {
      if (!host) tell(who, host.error());
      answer(std::move(host));
    });
  }

 private:
  static constexpr int kLinesAMinute = 20;

  static std::string asker(const auth::Origin& origin) {
    if (origin.address) return origin.address->text();
    return origin.host.empty() ? "this machine" : origin.host;
  }

  void tell(const std::string& who, const auth::Denial& denial) {
    const auto now = loop_.clock().now();
    if (now - minute_ >= std::chrono::minutes(1)) {
      if (told_ > kLinesAMinute) {
        fmt::print(stderr, "headrace client: {} more requests were refused\n", told_ - kLinesAMinute);
      }
      minute_ = now;
      told_ = 0;
    }
    if (++told_ > kLinesAMinute) return;
    fmt::print(stderr, "headrace client: {} {}: {}\n", who, denial.silent ? "dropped" : "refused",
               denial.why.what());
  }

  loop::Loop& loop_;
  std::unique_ptr<auth::Authorizer> judge_;
  base::Instant minute_{};
  int told_ = 0;
};

class Server {
 public:
  Server(loop::Loop& loop, auth::Authorizer& authorizer, exchange::ServiceFactory factory,
         loop::PortRange stream_ports)
      : loop_(loop),
        responder_(loop, authorizer, std::move(factory)),
        stream_ports_(std::make_shared<auth::StreamPorts>(loop, stream_ports)) {}

  Result<> listen_on(const ListenAt& where) {
    if (is_udp_auth(where.auth)) {
      auto socket = loop::bind_datagram(loop_, where.address);
      if (!socket) return std::unexpected(std::move(socket).error());
      say_listening((*socket)->local(), where.auth);
      serve_datagrams(std::move(*socket), where.auth);
      return {};
    }
    auto listener = loop::listen_tcp(loop_, where.address,
                                     [this](Fd fd, loop::Address peer) { accepted(std::move(fd), peer); });
    if (!listener) return std::unexpected(std::move(listener).error());
    say_listening((*listener)->local(), where.auth);
    listeners_.push_back(std::move(*listener));
    return {};
  }

  Result<> adopt_datagrams(int fd, const std::string& auth) {
    auto socket = loop::adopt_datagram(loop_, Fd(fd));
    if (!socket) return std::unexpected(std::move(socket).error());
    serve_datagrams(std::move(*socket), auth);
    return {};
  }

  Result<> adopt(int listening) {
    auto listener = loop::adopt_listener(
        loop_, Fd(listening), [this](Fd fd, loop::Address peer) { accepted(std::move(fd), peer); });
    if (!listener) return std::unexpected(std::move(listener).error());
    listeners_.push_back(std::move(*listener));
    return {};
  }

  Result<> serve_connection(Fd fd) {
    auto peer = loop::peer_address(fd.get());
    if (!peer) return std::unexpected(std::move(peer).error());
    accepted(std::move(fd), *peer);
    return {};
  }

  Result<> serve_pipes(const std::string& auth) {
    auto in = loop::make_fd_stream(loop_, Fd(::dup(STDIN_FILENO)), loop::FdKind::pipe);
    auto out = loop::make_fd_stream(loop_, Fd(::dup(STDOUT_FILENO)), loop::FdKind::pipe);
    if (!in) return std::unexpected(std::move(in).error());
    if (!out) return std::unexpected(std::move(out).error());
    let_go_of_standard_descriptors(true);
    auto pipes = std::make_unique<Pipes>(std::move(*in), std::move(*out));
    if (auth != "ssh") {
      serve_transport(std::move(pipes), {auth, std::nullopt});
      return {};
    }
    auto peer = auth::peer_of_ssh_connection(std::getenv("SSH_CONNECTION"));
    if (!peer) return std::unexpected(std::move(peer).error());
    // An address without a name, or whose name server does not answer, keeps nobody out: sshd has decided.
    awaiting_name_ = std::move(pipes);
    const auto serve_named = [this](std::string host) {
      if (awaiting_name_) serve_transport(std::move(awaiting_name_), {"ssh", std::nullopt, std::move(host)});
    };
    naming_ = loop::name_of_address(
        loop_, *peer, [serve_named](Result<std::string> name) { serve_named(name.value_or("")); });
    naming_deadline_ = loop_.after(kNamingGrace, [serve_named] { serve_named(""); });
    return {};
  }

  // Ends the process when its one connection is over.
  void end_when_idle() {
    responder_.on_idle([this] { loop_.stop(); });
  }
  // Ends it when nothing has come for a while.
  void end_when_unused() {
    responder_.on_idle([this] { start_idle_timer(); });
    start_idle_timer();
  }

 private:
  // Standard input and output as one transport.
  class Pipes : public loop::Duplex {
   public:
    Pipes(std::unique_ptr<loop::Duplex> in, std::unique_ptr<loop::Duplex> out)
        : in_(std::move(in)), out_(std::move(out)) {}
    loop::IoResult read(base::MutableBytes into) override { return in_->read(into); }
    void await_readable(loop::Ready ready) override { in_->await_readable(std::move(ready)); }
    void close_read() override { in_->close_read(); }
    loop::IoResult write(std::span<const iovec> pieces) override { return out_->write(pieces); }
    void await_writable(loop::Ready ready) override { out_->await_writable(std::move(ready)); }
    void finish(std::move_only_function<void(Result<>)> done) override { out_->finish(std::move(done)); }
    void abandon() override { out_->abandon(); }
    base::Error error() const override { return base::Error(ErrorKind::gone, "the server went away"); }

   private:
    std::unique_ptr<loop::Duplex> in_;
    std::unique_ptr<loop::Duplex> out_;
  };

  void serve_transport(std::unique_ptr<loop::Duplex> transport, auth::Origin origin) {
    responder_.serve(auth::make_mux(loop_, std::move(transport), auth::End::responder), std::move(origin));
  }

  void accepted(Fd fd, loop::Address peer) {
    idle_timer_.reset();
    auto stream = loop::make_fd_stream(loop_, std::move(fd), loop::FdKind::socket);
    if (!stream) {
      fmt::print(stderr, "headrace client: a connection from {} is dropped: {}\n", peer.text(),
                 stream.error().what());
      return;
    }
    responder_.serve(auth::make_mux(loop_, std::move(*stream), auth::End::responder), {"bsdtcp", peer});
  }

  void say_listening(const loop::Address& local, const std::string& auth) {
    fmt::print(stderr, "headrace client: listening on {} for {}\n", local.text(), auth);
  }

  void serve_datagrams(std::unique_ptr<loop::DatagramSocket> socket, const std::string& auth) {
    auto carrier = auth == "bsd" ? auth::accept_by_bsd(loop_, stream_ports_)
                                 : auth::accept_by_bsdudp(loop_, stream_ports_);
    auto hub = auth::DatagramHub::responder(loop_, std::move(socket), std::move(carrier));
    hubs_.push_back({hub, auth, 0});
    responder_.serve(std::move(hub), {auth, std::nullopt});
    if (!dropped_timer_) tell_dropped();
  }

  // Packets of strangers cost a look each; how many there were is said once a minute.
  void tell_dropped() {
    for (auto& [hub, auth, told] : hubs_) {
      const auto& counters = hub->counters();
      const uint64_t dropped = counters.malformed + counters.stray + counters.crowded;
      if (dropped == told) continue;
      fmt::print(
          stderr,
          "headrace client: {} UDP packets for {} were dropped in the last minute (so far: {} malformed, {} "
          "of no conversation, {} too many at once)\n",
          dropped - told, auth, counters.malformed, counters.stray, counters.crowded);
      told = dropped;
    }
    dropped_timer_ = loop_.after(kTellDroppedEvery, [this] { tell_dropped(); });
  }

  void start_idle_timer() {
    idle_timer_ = loop_.after(kIdleEnd, [this] {
      if (responder_.connections() == 0 && responder_.active() == 0) loop_.stop();
    });
  }

  loop::Loop& loop_;
  exchange::Responder responder_;
  std::shared_ptr<auth::StreamPorts> stream_ports_;  // shared by all conversations by datagrams
  std::vector<std::unique_ptr<loop::Listener>> listeners_;
  std::unique_ptr<loop::Duplex> awaiting_name_;  // ssh: until its peer's is known
  std::unique_ptr<loop::Operation> naming_;
  std::unique_ptr<loop::Timer> naming_deadline_;
  std::unique_ptr<loop::Timer> idle_timer_;
  struct Hub {
    std::shared_ptr<auth::DatagramHub> hub;  // shared with the responder
    std::string auth;
    uint64_t told;
  };
  std::vector<Hub> hubs_;
  std::unique_ptr<loop::Timer> dropped_timer_;
};

Result<> listen_as_told(Server& server, const std::vector<std::string>& places,
                        const std::vector<std::string>& auths) {
  std::vector<ListenAt> all;
  for (const auto& place : places) {
    auto some = listen_at(place, auths);
    if (!some) return std::unexpected(std::move(some).error());
    all.insert(all.end(), some->begin(), some->end());
  }
  if (auto apart = check_apart(all); !apart) return apart;
  for (const auto& where : all) {
    if (auto listening = server.listen_on(where); !listening) return listening;
  }
  return {};
}

Result<> adopt(Server& server, const HandedSocket& socket, const std::vector<std::string>& auths) {
  const HandedKind kind = kind_of_descriptor(socket.fd);
  const std::string auth = auth_of(kind, socket.name, auths);
  if (kind == HandedKind::datagrams && !auth.empty()) return server.adopt_datagrams(socket.fd, auth);
  if (kind == HandedKind::listener && !auth.empty()) return server.adopt(socket.fd);
  return base::fail(
      ErrorKind::refused,
      fmt::format("descriptor {} is no socket for {}: a UDP socket is for bsd or bsdudp, one that "
                  "listens for bsdtcp",
                  socket.fd, fmt::join(auths, ", ")));
}

Result<> begin(Server& server, const ClientOptions& options, const std::vector<std::string>& auths) {
  if (!options.listen.empty()) return listen_as_told(server, options.listen, auths);
  if (const auto sockets = systemd_sockets(); !sockets.empty()) {
    for (const auto& socket : sockets) {
      if (auto adopted = adopt(server, socket, auths); !adopted) return adopted;
    }
    return {};
  }
  if (is_pipe_auth(auths.front())) {
    server.end_when_idle();
    return server.serve_pipes(auths.front());
  }
  switch (kind_of_descriptor(STDIN_FILENO)) {
    case HandedKind::connection: {
      server.end_when_idle();
      Fd connection(::dup(STDIN_FILENO));
      let_go_of_standard_descriptors();
      return server.serve_connection(std::move(connection));
    }
    case HandedKind::listener:
    case HandedKind::datagrams: {
      if (!options.stay) server.end_when_unused();
      const int socket = ::dup(STDIN_FILENO);
      let_go_of_standard_descriptors();
      return adopt(server, {socket, ""}, auths);
    }
    case HandedKind::nothing:
      return listen_as_told(server, {"0.0.0.0"}, auths);
  }
  return {};
}

Result<std::vector<std::string>> served_auths(const ClientOptions& options) {
  std::vector<std::string> auths;
  for (const auto& word : options.auths) {
    auto auth = served_auth(word);
    if (!auth) return std::unexpected(std::move(auth).error());
    auths.push_back(std::move(*auth));
  }
  return auths;
}

// A configuration with mistakes is said in each reply; until it is mended these are the usual ports.
loop::PortRange stream_ports(const ClientOptions& options) {
  const auto config = config::load_client(options.config_dir, "");
  if (!config.ok()) return kStreamPorts;
  const auto& range = config.value->unreserved_tcp_port;
  if (range.low <= 0 || range.high < range.low || range.high > UINT16_MAX) return kStreamPorts;
  return {static_cast<uint16_t>(range.low), static_cast<uint16_t>(range.high)};
}

}  // namespace

int client(const ClientOptions& options) {
  // A dump takes up to eight (streams, the archiver's pipes and process); 1024 are usual.
  loop::raise_descriptor_limit();
  const auto auths = served_auths(options);
  if (!auths) {
    fmt::print(stderr, "headrace client: {}\n", auths.error().what());
    return 1;
  }
  auto rules = client::rules_for(options.user, options.amandahosts);
  if (!rules) {
    fmt::print(stderr, "headrace client: {}\n", rules.error().what());
    return 1;
  }
  auto loop = loop::make_loop(kWorkers);
  client::ClientPaths paths;
  paths.config_dir = options.config_dir;
  paths.gnutar = options.gnutar;
  paths.tmp_dir = options.tmp_dir;
  if (::geteuid() == 0 && rules->local_uid != 0) paths.filters_as = {rules->local_uid, rules->local_gid};
  client::ClientContext context{*loop, paths, rules->local_host};
  TellingAuthorizer authorizer(*loop, client::make_authorizer(*loop, std::move(*rules)));
  int status = 0;
  {
    Server server(*loop, authorizer, client::make_factory(context, offered(options.services)),
                  stream_ports(options));
    if (auto begun = begin(server, options, *auths); !begun) {
      fmt::print(stderr, "headrace client: {}\n", begun.error().what());
      return 1;
    }
    auto signals = loop::on_signals(*loop, {SIGTERM, SIGINT}, [&](int number) {
      status = 128 + number;
      loop->stop();
    });
    loop->run();
  }
  return status == 128 + SIGTERM || status == 128 + SIGINT ? 0 : status;
}

int amandad(int argc, char** argv) {
  ClientOptions options;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    auto value = [&](std::string_view key) -> std::optional<std::string> {
      if (!word.starts_with(key)) return std::nullopt;
      return std::string(word.substr(key.size()));
    };
    if (auto auth = value("-auth=")) {
      options.auths = {*auth};
    } else if (auto tcp = value("-tcp=")) {
      options.listen.push_back("0.0.0.0:" + *tcp);
    } else if (auto udp = value("-udp=")) {
      options.listen.push_back("0.0.0.0:" + *udp);
    } else if (word == "-no-exit") {
      options.stay = true;
    } else if (word.starts_with("-")) {
      fmt::print(stderr, "amandad: unknown option {}\n", word);
      return 1;
    } else {
      options.services.emplace_back(word);
    }
  }
  return client(options);
}

}  // namespace headrace::cli
