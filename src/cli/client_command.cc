#include "cli/client_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <set>

#include "auth/mux/mux_connection.h"
#include "client/access/access.h"
#include "client/services.h"
#include "exchange/responder.h"
#include "loop/fd_stream.h"
#include "loop/loop.h"
#include "loop/net.h"
#include "loop/signals.h"

namespace headrace::cli {

namespace {

using base::ErrorKind;
using base::Fd;
using base::Result;

constexpr uint16_t kAmandaPort = 10080;
constexpr int kFirstSystemdSocket = 3;
// Under inetd's "wait" we end when nothing has come for so long, as amandad does.
constexpr auto kIdleEnd = std::chrono::seconds(30);
// Blocking work of a client: reading lists and state files, name checks.
constexpr unsigned kWorkers = 4;

enum class Handed { nothing, connection, listener, pipes };

Handed what_is_on_stdin(const std::string& auth) {
  if (auth == "local" || auth == "ssh") return Handed::pipes;
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) {
    return Handed::nothing;
  }
  int listening = 0;
  length = sizeof listening;
  ::getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
  return listening != 0 ? Handed::listener : Handed::connection;
}

// Sockets from systemd, by its environment variables.
int systemd_sockets() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::to_string(::getpid()) != pid) return 0;
  int n = 0;
  std::from_chars(count, count + std::string_view(count).size(), n);
  return std::clamp(n, 0, 16);
}

Result<loop::Address> address_of(const std::string& text) {
  const size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? text : text.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  unsigned port = kAmandaPort;
  if (colon != std::string::npos) {
    const char* begin = text.data() + colon + 1;
    const auto parsed = std::from_chars(begin, text.data() + text.size(), port);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || port > 65535) {
      return base::fail(ErrorKind::refused, fmt::format("\"{}\" is no ADDRESS:PORT", text));
    }
  }
  return loop::Address::parse(host.empty() ? "0.0.0.0" : host, static_cast<uint16_t>(port));
}

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
// our standard error too, where a stray word would break the protocol.
void let_go_of_standard_descriptors() {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(null.get(), STDOUT_FILENO);
  struct stat error{};
  if (::fstat(STDERR_FILENO, &error) != 0 || S_ISSOCK(error.st_mode)) ::dup2(null.get(), STDERR_FILENO);
}

// Tells the operator of the client whom it turned away and why; the server's operator has it in the NAK.
class TellingAuthorizer : public auth::Authorizer {
 public:
  explicit TellingAuthorizer(std::unique_ptr<auth::Authorizer> judge) : judge_(std::move(judge)) {}
  void ask(auth::Question question, auth::Answer answer) override {
    std::string who = fmt::format("{} asked by {}", question.service,
                                  question.origin.address ? question.origin.address->text() : "this machine");
    judge_->ask(std::move(question),
                [who = std::move(who), answer = std::move(answer)](Result<std::string> host) mutable {
                  if (!host)
                    fmt::print(stderr, "headrace client: {} refused: {}\n", who, host.error().what());
                  answer(std::move(host));
                });
  }

 private:
  std::unique_ptr<auth::Authorizer> judge_;
};

class Server {
 public:
  Server(loop::Loop& loop, const ClientOptions& options, auth::Authorizer& authorizer,
         exchange::ServiceFactory factory)
      : loop_(loop), options_(options), responder_(loop, authorizer, std::move(factory)) {}

  Result<> listen_on(const std::string& text) {
    auto address = address_of(text);
    if (!address) return std::unexpected(std::move(address).error());
    auto listener = loop::listen_tcp(loop_, *address,
                                     [this](Fd fd, loop::Address peer) { accepted(std::move(fd), peer); });
    if (!listener) return std::unexpected(std::move(listener).error());
    fmt::print(stderr, "headrace client: listening on {} for {}\n", (*listener)->local().text(),
               options_.auth);
    listeners_.push_back(std::move(*listener));
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

  Result<> serve_pipes() {
    auto in = loop::make_fd_stream(loop_, Fd(::dup(STDIN_FILENO)), loop::FdKind::pipe);
    auto out = loop::make_fd_stream(loop_, Fd(::dup(STDOUT_FILENO)), loop::FdKind::pipe);
    if (!in) return std::unexpected(std::move(in).error());
    if (!out) return std::unexpected(std::move(out).error());
    let_go_of_standard_descriptors();
    responder_.serve(
        auth::make_mux(loop_, std::make_unique<Pipes>(std::move(*in), std::move(*out)), auth::End::responder),
        {options_.auth, std::nullopt});
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

  void accepted(Fd fd, loop::Address peer) {
    idle_timer_.reset();
    auto stream = loop::make_fd_stream(loop_, std::move(fd), loop::FdKind::socket);
    if (!stream) {
      fmt::print(stderr, "headrace client: a connection from {} is dropped: {}\n", peer.text(),
                 stream.error().what());
      return;
    }
    responder_.serve(auth::make_mux(loop_, std::move(*stream), auth::End::responder), {options_.auth, peer});
  }

  void start_idle_timer() {
    idle_timer_ = loop_.after(kIdleEnd, [this] {
      if (responder_.connections() == 0) loop_.stop();
    });
  }

  loop::Loop& loop_;
  const ClientOptions& options_;
  exchange::Responder responder_;
  std::vector<std::unique_ptr<loop::Listener>> listeners_;
  std::unique_ptr<loop::Timer> idle_timer_;
};

Result<> begin(Server& server, const ClientOptions& options) {
  if (!options.listen.empty()) {
    for (const auto& address : options.listen) {
      if (auto listening = server.listen_on(address); !listening) return listening;
    }
    return {};
  }
  if (const int sockets = systemd_sockets(); sockets > 0) {
    for (int i = 0; i < sockets; ++i) {
      if (auto adopted = server.adopt(kFirstSystemdSocket + i); !adopted) return adopted;
    }
    return {};
  }
  switch (what_is_on_stdin(options.auth)) {
    case Handed::pipes:
      server.end_when_idle();
      return server.serve_pipes();
    case Handed::connection: {
      server.end_when_idle();
      Fd connection(::dup(STDIN_FILENO));
      let_go_of_standard_descriptors();
      return server.serve_connection(std::move(connection));
    }
    case Handed::listener:
      if (!options.stay) server.end_when_unused();
      return server.adopt(::dup(STDIN_FILENO));
    case Handed::nothing:
      return server.listen_on(fmt::format("0.0.0.0:{}", kAmandaPort));
  }
  return {};
}

}  // namespace

int client(const ClientOptions& options) {
  if (options.auth != "bsdtcp" && options.auth != "local") {
    fmt::print(stderr, "headrace client: auth \"{}\" cannot be served yet; \"bsdtcp\" and \"local\" can\n",
               options.auth);
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
  TellingAuthorizer authorizer(client::make_authorizer(*loop, std::move(*rules)));
  int status = 0;
  {
    Server server(*loop, options, authorizer, client::make_factory(context, offered(options.services)));
    if (auto begun = begin(server, options); !begun) {
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
      options.auth = *auth;
      std::ranges::transform(options.auth, options.auth.begin(),
                             [](unsigned char c) { return std::tolower(c); });
    } else if (auto port = value("-tcp=")) {
      options.listen.push_back("0.0.0.0:" + *port);
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
