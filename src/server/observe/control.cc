#include "server/observe/control.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "base/alive.h"
#include "flow/lines.h"
#include "flow/text_writer.h"
#include "loop/fd_stream.h"
#include "loop/net.h"
#include "server/observe/control_socket.h"

namespace headrace::observe {

using base::ErrorKind;
using base::Result;

std::filesystem::path control_path_of(const std::filesystem::path& logdir, const std::string& timestamp) {
  return logdir / ("control." + timestamp);
}

namespace {

ControlReply refusal(std::string sentence) {
  ControlReply reply;
  reply.error = std::move(sentence);
  return reply;
}

}  // namespace

// --- the run's end
// ------------------------------------------------------------------------------------------

class ControlServer::Impl {
 public:
  Impl(loop::Loop& loop, std::filesystem::path path, ControlHandler& handler)
      : loop_(loop), path_(std::move(path)), handler_(handler) {
    struct stat directory = {};
    owner_ = ::stat(path_.parent_path().c_str(), &directory) == 0 ? directory.st_uid : ::geteuid();
  }
  ~Impl() {
    listener_.reset();
    for (auto& [id, client] : std::exchange(clients_, {})) handler_.gone(id);
    std::error_code ignored;  // what stays is removed by the next run
    std::filesystem::remove(path_, ignored);
  }

  Result<> open() {
    auto listening = listen_at(path_);
    if (!listening) return std::unexpected(std::move(listening).error());
    auto listener = loop::adopt_listener(
        loop_, std::move(*listening), [this](base::Fd fd, const loop::Address&) { accept(std::move(fd)); });
    if (!listener) return std::unexpected(std::move(listener).error());
    listener_ = std::move(*listener);
    return {};
  }

 private:
  // Members in order of use: reader and writer borrow the stream.
  struct Client {
    std::unique_ptr<loop::Duplex> stream;
    std::unique_ptr<flow::TextWriter> writer;
    std::unique_ptr<flow::LineReader> reader;
    std::unique_ptr<loop::Timer> idle;
  };

  void accept(base::Fd fd) {
    const bool stranger = !peer_may_talk(fd.get(), owner_);
    auto stream = loop::make_fd_stream(loop_, std::move(fd), loop::FdKind::socket, "a control connection");
    if (!stream) return;
    const uint64_t id = next_id_++;
    Client& client = clients_[id];
    client.stream = std::move(*stream);
    client.writer = std::make_unique<flow::TextWriter>(loop_, *client.stream);
    expect_something(id, client);
    if (stranger) return farewell(id, "only root and the dump user may talk to a run");
    if (clients_.size() > kMaxControlClients)
      return farewell(id, fmt::format("{} commands talk to this run already; try again", kMaxControlClients));
    client.reader = std::make_unique<flow::LineReader>(
        loop_, *client.stream, [this, id](std::string_view line, bool /*partial*/) { heard(id, line); },
        [this, id](Result<> end) {
          // Half a connection: it wants what it asked for, and then no more.
          end ? finish(id) : farewell(id, "this is no request: " + end.error().what());
        });
    client.reader->start();
  }

  void expect_something(uint64_t id, Client& client) {
    client.idle = loop_.after(kControlIdle, [this, id] { drop(id); });
  }

  void heard(uint64_t id, std::string_view line) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    expect_something(id, found->second);
    const auto request = parse_control_request(line);
    const auto reply = request ? handler_.handle(*request, id) : refusal(request.error().what());
    // Too much queued: it asks and does not read.
    if (!found->second.writer->put(encode(reply) + "\n")) drop(id);
  }

  void farewell(uint64_t id, std::string sentence) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    if (!found->second.writer->put(encode(refusal(std::move(sentence))) + "\n")) return drop(id);
    finish(id);
  }

  // What is queued is sent, and the connection ends.
  void finish(uint64_t id) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    found->second.writer->finish([this, id](const Result<>&) { drop(id); });
  }

  void drop(uint64_t id) {
    auto taken = clients_.extract(id);
    if (taken.empty()) return;
    handler_.gone(id);
    // Later: its reader or writer may be what called us.
    auto spent = std::make_shared<Client>(std::move(taken.mapped()));
    loop_.post([spent] {});
  }

  loop::Loop& loop_;
  std::filesystem::path path_;
  ControlHandler& handler_;
  uid_t owner_ = 0;
  std::unique_ptr<loop::Listener> listener_;
  std::map<uint64_t, Client> clients_;
  uint64_t next_id_ = 1;
};

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::~ControlServer() = default;

Result<std::unique_ptr<ControlServer>> ControlServer::open(loop::Loop& loop,
                                                           const std::filesystem::path& logdir,
                                                           const std::string& timestamp,
                                                           ControlHandler& handler) {
  remove_dead_sockets(logdir);
  auto impl = std::make_unique<Impl>(loop, control_path_of(logdir, timestamp), handler);
  if (auto opened = impl->open(); !opened) return std::unexpected(std::move(opened).error());
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

// --- the operator's end
// -------------------------------------------------------------------------------------

class ControlClient::Impl {
 public:
  using Done = std::move_only_function<void(Result<ControlReply>)>;

  Impl(loop::Loop& loop, std::unique_ptr<loop::Duplex> stream)
      : loop_(loop), stream_(std::move(stream)), writer_(loop, *stream_) {
    reader_ = std::make_unique<flow::LineReader>(
        loop_, *stream_, [this](std::string_view line, bool /*partial*/) { heard(line); },
        [this](Result<> end) {
          ended_ =
              end ? base::Error(ErrorKind::gone, "the run has ended the connection") : std::move(end).error();
          answer(std::unexpected(*ended_));
        },
        kMaxControlReplyBytes);
    reader_->start();
  }

  void ask(const ControlRequest& request, Done done) {
    HEADRACE_CHECK(!done_);
    done_ = std::move(done);
    auto sent = ended_ ? Result<>(std::unexpected(*ended_)) : writer_.put(encode(request) + "\n");
    if (!sent) {
      loop_.post([this, alive = alive_.ref(), error = std::move(sent).error()] {
        if (!alive.expired()) answer(std::unexpected(error));
      });
      return;
    }
    deadline_ = loop_.after(kControlReplyTimeout, [this] {
      answer(base::fail(
          ErrorKind::gone,
          fmt::format("the run does not answer within {} seconds",
                      std::chrono::duration_cast<std::chrono::seconds>(kControlReplyTimeout).count())));
    });
  }

 private:
  void heard(std::string_view line) {
    auto reply = parse_control_reply(line);
    if (reply && !reply->error.empty()) return answer(base::fail(ErrorKind::refused, reply->error));
    answer(std::move(reply));
  }

  void answer(Result<ControlReply> reply) {
    deadline_.reset();
    if (auto done = std::exchange(done_, nullptr)) done(std::move(reply));
  }

  loop::Loop& loop_;
  std::unique_ptr<loop::Duplex> stream_;
  flow::TextWriter writer_;
  std::unique_ptr<flow::LineReader> reader_;
  std::unique_ptr<loop::Timer> deadline_;
  std::optional<base::Error> ended_;
  Done done_;
  base::Alive alive_;
};

ControlClient::ControlClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlClient::~ControlClient() = default;

Result<std::unique_ptr<ControlClient>> ControlClient::connect(loop::Loop& loop,
                                                              const std::filesystem::path& logdir,
                                                              const std::string& timestamp) {
  auto fd = connect_to(control_path_of(logdir, timestamp));
  if (!fd) return std::unexpected(std::move(fd).error());
  auto stream = loop::make_fd_stream(loop, std::move(*fd), loop::FdKind::socket, "the run's control socket");
  if (!stream) return std::unexpected(std::move(stream).error());
  return std::unique_ptr<ControlClient>(new ControlClient(std::make_unique<Impl>(loop, std::move(*stream))));
}

void ControlClient::ask(const ControlRequest& request,
                        std::move_only_function<void(Result<ControlReply>)> done) {
  impl_->ask(request, std::move(done));
}

}  // namespace headrace::observe
