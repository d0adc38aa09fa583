// What tests of the services stand on: a temporary machine (configuration, state files, a source tree) and a
// requester that asks a service over the real loop and collects what it answers. Only tests include it.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "client/services.h"
#include "exchange/service.h"
#include "loop/fd_stream.h"
#include "loop/loop.h"

namespace headrace::client::testing {

namespace fs = std::filesystem;

// A requester with every feature of 3.5.1.
inline const std::string kOptions =
    "OPTIONS features=ffffffff9efefbfffffffffffffff3fffbf71f;maxdumps=2;hostname=client.lab;"
    "timestamp=20261123011349;\n";

struct Answer {
  std::string reply;
  std::string refusal;
  std::vector<std::string> partials;
  std::map<std::string, std::string> streams;  // what each carried
  std::string wanted;                          // "DATA MESG STATE": names of the streams that exist
  bool finished = false;
  bool timed_out = false;
};

// One request: the responder's side for the service, and the peer's side of its streams.
class Requester : public exchange::ServiceCall {
 public:
  Requester(loop::Loop& loop, exchange::ServiceRequest request) : loop_(loop), request_(std::move(request)) {}

  const exchange::ServiceRequest& request() const override { return request_; }
  void reply_partial(std::string text) override { answer_.partials.push_back(std::move(text)); }
  void reply(std::string text) override { answer_.reply = std::move(text); }
  void refuse(std::string text) override {
    answer_.refusal = std::move(text);
    finished();
  }
  void finished() override {
    answer_.finished = true;
    loop_.post([this] { end_service(); });
  }
  void reply_with_streams(std::vector<StreamName> names, std::string text,
                          std::move_only_function<void(base::Result<exchange::Streams>)> opened) override {
    answer_.reply = std::move(text);
    loop_.post([this, names = std::move(names), opened = std::move(opened)]() mutable {
      exchange::Streams streams;
      for (const StreamName& name : names) streams.push_back(name.wanted ? open(name.name) : nullptr);
      opened(std::move(streams));
    });
  }

  // Called with all that a stream carried so far, whenever there is more.
  std::function<void(Requester&, const std::string& name, const std::string& so_far)> on_bytes;

  // As a server that loses interest.
  void close_stream(const std::string& name) {
    if (auto peer = peers_.find(name); peer != peers_.end()) peer->second->stream.reset();
    stop_when_over();
  }
  // As the responder does when the connection is gone.
  void cancel() {
    service_.reset();
    stop_when_over();
  }

  Answer run(exchange::ServiceFactory& factory) {
    auto made = factory(*this);
    if (!made) {
      answer_.refusal = made.error().what();
      return answer_;
    }
    service_ = std::move(*made);
    service_->start();
    auto deadline = loop_.after(std::chrono::seconds(30), [this] {
      answer_.timed_out = true;
      loop_.stop();
    });
    loop_.run();
    service_.reset();
    return answer_;
  }

 private:
  struct Peer {
    std::unique_ptr<loop::Duplex> stream;
    bool ended = false;
  };

  std::unique_ptr<loop::Duplex> open(const std::string& name) {
    answer_.wanted += answer_.wanted.empty() ? name : " " + name;
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return nullptr;
    auto peer = std::make_unique<Peer>();
    peer->stream = loop::make_fd_stream(loop_, base::Fd(ends[0]), loop::FdKind::socket).value();
    peers_[name] = std::move(peer);
    answer_.streams[name];
    read(name);
    return loop::make_fd_stream(loop_, base::Fd(ends[1]), loop::FdKind::socket).value();
  }

  void read(const std::string& name) {
    Peer& peer = *peers_[name];
    std::array<std::byte, 65536> buffer{};
    while (peer.stream) {
      const loop::IoResult got = peer.stream->read(buffer);
      if (got.state == loop::IoState::wait) {
        peer.stream->await_readable([this, name] { read(name); });
        return;
      }
      if (got.state != loop::IoState::moved) {
        // As servers do once a stream has ended.
        peer.stream.reset();
        break;
      }
      answer_.streams[name] += base::as_text({buffer.data(), got.bytes});
      if (on_bytes) on_bytes(*this, name, answer_.streams[name]);
    }
    stop_when_over();
  }

  void end_service() {
    service_.reset();
    stop_when_over();
  }

  void stop_when_over() {
    if (service_) return;
    for (const auto& [name, peer] : peers_) {
      if (peer->stream) return;
    }
    loop_.stop();
  }

  loop::Loop& loop_;
  exchange::ServiceRequest request_;
  Answer answer_;
  std::map<std::string, std::unique_ptr<Peer>> peers_;
  std::unique_ptr<exchange::Service> service_;
};

// A directory with everything a client has, removed at the end.
class Machine {
 public:
  explicit Machine(const std::string& name) {
    root_ = fs::temp_directory_path() / ("headrace_" + name + std::to_string(::getpid()));
    fs::remove_all(root_);
    for (const char* directory : {"etc", "lists", "tmp", "src"}) fs::create_directories(root_ / directory);
    put("etc/amanda-client.conf", "gnutar-list-dir \"" + (root_ / "lists").native() + "\"\namandates \"" +
                                      (root_ / "amandates").native() + "\"\n");
    paths.config_dir = root_ / "etc";
    paths.tmp_dir = root_ / "tmp";
    // Tar runs with our own rights, whatever is installed here.
    paths.runtar = root_ / "no-runtar";
    paths.application_dir = root_ / "apps";
  }
  ~Machine() { fs::remove_all(root_); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  fs::path at(const std::string& name) const { return root_ / name; }
  fs::path src() const { return root_ / "src"; }
  void put(const std::string& name, std::string_view text) {
    fs::create_directories((root_ / name).parent_path());
    // In place, so that it also works on what is mapped or linked.
    auto fd = base::create_file(root_ / name, 0644, false).value();
    base::write_all(fd.get(), text, name).value();
  }
  std::string get(const std::string& name) const { return base::read_file(root_ / name).value_or("(none)"); }
  bool has(const std::string& name) const { return fs::exists(root_ / name); }
  std::vector<std::string> names_in(const std::string& directory) const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(root_ / directory))
      out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }
  // A program in place of tar.
  void use_tar(const std::string& script) {
    put("tar", "#!/bin/sh\n" + script);
    fs::permissions(root_ / "tar", fs::perms::owner_all);
    paths.gnutar = root_ / "tar";
  }

  Answer ask(const std::string& service, const std::string& arguments,
             std::function<void(Requester&, const std::string&, const std::string&)> on_bytes = {}) {
    auto loop = loop::make_loop(2);
    ClientContext context{*loop, paths, "here.lab"};
    exchange::ServiceFactory factory = make_factory(context, {});
    Requester requester(*loop, {service, arguments, "bsdtcp", "server.lab"});
    requester.on_bytes = std::move(on_bytes);
    return requester.run(factory);
  }

  ClientPaths paths;

 private:
  fs::path root_;
};

// A <dle>, with more elements in `extra`.
struct DleText {
  std::string disk = {};
  std::string levels = "<level>0</level>";
  std::string extra = {};
  std::string program = "GNUTAR";
  std::string auth = "bsdtcp";
  bool index = true;
  std::string text() const {
    return "<dle>\n<program>" + program + "</program>\n<disk>" + disk + "</disk>\n" + levels + "\n<auth>" +
           auth + "</auth>\n" + (index ? "<index>YES</index>\n" : "") + extra + "</dle>\n";
  }
};

inline std::string amgtar(const std::string& properties = {}) {
  return "<backup-program><plugin>amgtar</plugin>" + properties + "</backup-program>\n";
}
inline std::string property(const std::string& name, const std::vector<std::string>& values) {
  std::string out = "<property><name>" + name + "</name>";
  for (const std::string& value : values) out += "<value>" + value + "</value>";
  return out + "</property>";
}

}  // namespace headrace::client::testing
