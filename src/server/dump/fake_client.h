// A client made of scripts, on a TCP port of the loopback: answers noop and sendsize by itself, and each
// sendbackup with the next script of its disk. Speaks the real protocol below. Owned by the test; loop
// thread. Tests only.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/mux/mux_connection.h"
#include "base/crc32c.h"
#include "exchange/responder.h"
#include "loop/fd_stream.h"
#include "loop/net.h"
#include "wire/dle_request.h"
#include "wire/noop.h"
#include "wire/sendbackup.h"
#include "wire/sendsize.h"

namespace headrace::dump {

enum FakeStream : size_t { kToData, kToMesg, kToIndex, kToState };

// What the client does after the streams are there: one step when the one before has been taken.
struct FakeStep {
  enum class What { write, end, hang_up } what = What::write;
  FakeStream stream = kToMesg;
  std::string text{};
};

struct FakeScript {
  std::string refusal{};  // NAK instead of all
  std::string reply{};    // REP without streams instead of all
  bool wants_index = true;
  bool wants_state = false;
  std::vector<FakeStep> steps{};  // after the last one the streams stay open in silence

  FakeScript& mesg(const std::string& lines) { return add({FakeStep::What::write, kToMesg, lines}); }
  FakeScript& data(const std::string& bytes) { return add({FakeStep::What::write, kToData, bytes}); }
  FakeScript& index(const std::string& lines) { return add({FakeStep::What::write, kToIndex, lines}); }
  FakeScript& state(const std::string& lines) { return add({FakeStep::What::write, kToState, lines}); }
  FakeScript& end(FakeStream stream) { return add({FakeStep::What::end, stream, ""}); }
  FakeScript& hang_up() { return add({FakeStep::What::hang_up, kToMesg, ""}); }
  FakeScript& describe() {
    return mesg(
        "sendbackup: start [h:/d level 0]\nsendbackup: info BACKUP=/bin/tar\n"
        "sendbackup: info RECOVER_CMD=/bin/tar -xpGf - ...\nsendbackup: info end\n");
  }
  // Size, CRCs and "end" for these bytes.
  FakeScript& close_with(const std::string& bytes) {
    const std::string crc = crc_text(bytes);
    return mesg("sendbackup: native-CRC " + crc + "\nsendbackup: client-CRC " + crc + "\nsendbackup: size " +
                std::to_string((bytes.size() + 1023) / 1024) + "\nsendbackup: end\n");
  }
  static std::string crc_text(const std::string& bytes) {
    base::Crc32c crc;
    crc.add(base::as_bytes(bytes));
    return crc.value().text();
  }

 private:
  FakeScript& add(FakeStep step) {
    steps.push_back(std::move(step));
    return *this;
  }
};

inline FakeScript good_script(const std::string& bytes, const std::string& index = "/\n/file\n") {
  FakeScript script;
  script.describe().data(bytes).end(kToData).index(index).end(kToIndex).close_with(bytes).end(kToMesg);
  return script;
}

class FakeClient {
 public:
  explicit FakeClient(loop::Loop& loop) : loop_(loop) {
    responder_ = std::make_unique<exchange::Responder>(
        loop, everybody_, [this](exchange::ServiceCall& call) { return make(call); });
    auto listening =
        loop::listen_tcp(loop, loop::Address::ipv4(0x7f000001, 0),
                         [this](base::Fd fd, loop::Address peer) { accepted(std::move(fd), peer); });
    EXPECT_TRUE(listening) << listening.error().what();
    if (listening) listener_ = std::move(*listening);
  }

  uint16_t port() const { return listener_->local().port(); }
  // As when the client's machine goes down: nobody listens any more.
  void stop_listening() { listener_.reset(); }
  void hang_up() {
    for (const auto& socket : sockets_) ::shutdown(socket.get(), SHUT_RDWR);
    sockets_.clear();
  }
  size_t active() const { return responder_->active(); }

  // Per disk, in order; the last one stays.
  std::map<std::string, std::deque<FakeScript>> scripts;
  // KiB at any level; disks not named give no estimate. The same when asked by calcsize, of disks named
  // there.
  std::map<std::string, int64_t> estimates, calcsizes;
  // What is said of a disk instead, when asked by the method client.
  std::map<std::string, std::string> estimate_errors;
  std::vector<std::string> asked;  // "disk level" of each sendbackup

 private:
  class Everybody : public auth::Authorizer {
   public:
    void ask(auth::Question, auth::Answer answer) override { answer(std::string("client.lab")); }
  };

  class TextService : public exchange::Service {
   public:
    TextService(exchange::ServiceCall& call, std::string text) : call_(call), text_(std::move(text)) {}
    void start() override {
      call_.reply(text_);
      call_.finished();
    }

   private:
    exchange::ServiceCall& call_;
    std::string text_;
  };

  class ScriptService : public exchange::Service {
   public:
    ScriptService(FakeClient& client, exchange::ServiceCall& call, FakeScript script)
        : client_(client), call_(call), script_(std::move(script)) {}
    void start() override {
      call_.reply_with_streams(
          {{"DATA", true}, {"MESG", true}, {"INDEX", script_.wants_index}, {"STATE", script_.wants_state}},
          "OPTIONS ;\n", [this](base::Result<exchange::Streams> streams) {
            if (!streams) return call_.finished();
            streams_ = std::move(*streams);
            go_on();
          });
    }

   private:
    void go_on() {
      while (next_ < script_.steps.size()) {
        const FakeStep& step = script_.steps[next_];
        if (step.what == FakeStep::What::hang_up) {
          ++next_;
          return client_.hang_up();
        }
        loop::Duplex& stream = *streams_.at(step.stream);
        if (step.what == FakeStep::What::end) {
          ++next_;
          ++ended_;
          return stream.finish([this](const base::Result<>&) { go_on(); });
        }
        if (at_ < step.text.size()) {
          const iovec piece{const_cast<char*>(step.text.data()) + at_, step.text.size() - at_};
          const auto put = stream.write({&piece, 1});
          if (put.state == loop::IoState::wait) return stream.await_writable([this] { go_on(); });
          if (put.state != loop::IoState::moved) return call_.finished();
          at_ += put.bytes;
          continue;
        }
        at_ = 0;
        ++next_;
      }
      const size_t open = 2U + (script_.wants_index ? 1U : 0U) + (script_.wants_state ? 1U : 0U);
      if (ended_ == open) call_.finished();
    }

    FakeClient& client_;
    exchange::ServiceCall& call_;
    FakeScript script_;
    exchange::Streams streams_;
    size_t next_ = 0;
    size_t at_ = 0;
    size_t ended_ = 0;
  };

  void accepted(base::Fd fd, const loop::Address& peer) {
    sockets_.emplace_back(::dup(fd.get()));
    auto stream = loop::make_fd_stream(loop_, std::move(fd), loop::FdKind::socket);
    ASSERT_TRUE(stream) << stream.error().what();
    responder_->serve(auth::make_mux(loop_, std::move(*stream), auth::End::responder), {"bsdtcp", peer});
  }

  base::Result<std::unique_ptr<exchange::Service>> make(exchange::ServiceCall& call) {
    const auto& request = call.request();
    const auto ours = wire::FeatureSet::ours_as_client();
    if (request.service == "noop") return std::make_unique<TextService>(call, wire::encode_noop_reply(ours));
    if (request.service == "sendsize") return std::make_unique<TextService>(call, sizes(request.arguments));
    if (request.service != "sendbackup") return base::fail(base::ErrorKind::refused, "no such service");
    auto dle = wire::parse_dle_request(request.arguments, wire::DleFor::sendbackup);
    if (!dle) return std::unexpected(dle.error());
    const std::string disk = dle->dles.front().disk;
    asked.push_back(disk + " " + std::to_string(dle->dles.front().levels.front().level));
    auto& waiting = scripts[disk];
    if (waiting.empty()) return base::fail(base::ErrorKind::refused, "no script for " + disk);
    FakeScript script = waiting.front();
    if (waiting.size() > 1) waiting.pop_front();
    if (!script.refusal.empty()) return base::fail(base::ErrorKind::refused, script.refusal);
    if (!script.reply.empty()) return std::make_unique<TextService>(call, script.reply);
    return std::make_unique<ScriptService>(*this, call, std::move(script));
  }

  wire::Estimate size(const wire::Dle& dle, int level) const {
    wire::Estimate estimate{dle.disk, level, {}, {}, {}};
    const auto method = std::ranges::find_if(
        dle.estimates, [](wire::EstimateMethod it) { return it != wire::EstimateMethod::server; });
    const bool calcsize = method != dle.estimates.end() && *method == wire::EstimateMethod::calcsize;
    const auto& table = calcsize ? calcsizes : estimates;
    const auto known = table.find(dle.disk);
    estimate.kib = known == table.end() ? wire::kNoEstimate : known->second;
    if (const auto error = estimate_errors.find(dle.disk); !calcsize && error != estimate_errors.end()) {
      estimate.kib = std::nullopt;
      estimate.errors = {error->second};
    }
    return estimate;
  }
  std::string sizes(const std::string& arguments) const {
    wire::SendsizeReply reply;
    auto request = wire::parse_dle_request(arguments, wire::DleFor::sendsize);
    if (!request) return "ERROR " + request.error().what() + "\n";
    for (const auto& dle : request->dles) {
      for (const auto& level : dle.levels) reply.estimates.push_back(size(dle, level.level));
    }
    return wire::encode_sendsize_reply(reply, wire::FeatureSet::ours_as_server());
  }

  loop::Loop& loop_;
  Everybody everybody_;
  std::vector<base::Fd> sockets_;  // duplicates of those the connections own
  std::unique_ptr<exchange::Responder> responder_;
  std::unique_ptr<loop::Listener> listener_;
};

}  // namespace headrace::dump
