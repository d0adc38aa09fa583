// Requester and responder against each other over one framed connection, on the real loop.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "auth/bsdtcp/bsdtcp.h"
#include "auth/mux/mux_connection.h"
#include "exchange/requester.h"
#include "exchange/responder.h"
#include "loop/fd_stream.h"
#include "wire/frame.h"
#include "wire/packet.h"
#include "wire/sendbackup.h"

namespace headrace::exchange {
namespace {

using base::Result;
using namespace std::chrono_literals;

std::array<base::Fd, 2> socket_pair() {
  int fds[2];
  HEADRACE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {base::Fd(fds[0]), base::Fd(fds[1])};
}

class AllowAll : public auth::Authorizer {
 public:
  void ask(auth::Question question, auth::Answer answer) override {
    asked.push_back(question);
    if (refuse_with.empty()) {
      answer(std::string("peer.example"));
    } else {
      answer(base::fail(base::ErrorKind::refused, refuse_with));
    }
  }
  std::vector<auth::Question> asked;
  std::string refuse_with;
};

// Replies with one DATA stream, writes a pattern of `total` bytes to it, finishes.
class PatternService : public Service {
 public:
  PatternService(ServiceCall& call, size_t total) : call_(call), left_(total), block_(100000, '\0') {
    for (size_t i = 0; i < block_.size(); ++i) block_[i] = static_cast<char>(i * 7);
  }
  void start() override {
    call_.reply_with_streams({{"DATA", true}, {"MESG", true}, {"INDEX", false}}, "OPTIONS ;\n",
                             [this](Result<Streams> streams) {
                               ASSERT_TRUE(streams.has_value());
                               ASSERT_EQ((*streams)[2], nullptr);
                               streams_ = std::move(*streams);
                               write_more();
                             });
  }

 private:
  void write_more() {
    while (left_ > 0) {
      const iovec piece{block_.data(), std::min(left_, block_.size())};
      const auto result = streams_[0]->write({&piece, 1});
      if (result.state == loop::IoState::wait) {
        streams_[0]->await_writable([this] { write_more(); });
        return;
      }
      if (result.state != loop::IoState::moved) return call_.finished();
      left_ -= result.bytes;
      // The pattern goes on where the wire stopped taking it.
      std::rotate(block_.begin(), block_.begin() + static_cast<ptrdiff_t>(result.bytes % block_.size()),
                  block_.end());
    }
    streams_[0]->finish([this](const Result<>&) { call_.finished(); });
  }
  ServiceCall& call_;
  size_t left_;
  std::string block_;
  Streams streams_;
};

class TextService : public Service {
 public:
  TextService(ServiceCall& call, std::string text) : call_(call), text_(std::move(text)) {}
  void start() override {
    call_.reply_partial("part\n");
    call_.reply(text_);
    call_.finished();
  }

 private:
  ServiceCall& call_;
  std::string text_;
};

// Never replies; says when it is destroyed.
class Silent : public Service {
 public:
  explicit Silent(bool& gone) : gone_(gone) {}
  ~Silent() override { gone_ = true; }
  void start() override {}

 private:
  bool& gone_;
};

struct Ends {
  std::unique_ptr<loop::Loop> loop = loop::make_loop(1);
  AllowAll authorizer;
  std::unique_ptr<Responder> responder;
  std::unique_ptr<auth::Path> path;
  int raw_client = -1;

  explicit Ends(ServiceFactory factory, ResponderTimes times = {}) {
    responder = std::make_unique<Responder>(*loop, authorizer, std::move(factory), times);
    auto sockets = socket_pair();
    auto here = loop::make_fd_stream(*loop, std::move(sockets[0]), loop::FdKind::socket);
    auto there = loop::make_fd_stream(*loop, std::move(sockets[1]), loop::FdKind::socket);
    path = auth::path_over_mux(auth::make_mux(*loop, std::move(*here), auth::End::initiator), true, -1);
    responder->serve(auth::make_mux(*loop, std::move(*there), auth::End::responder),
                     {"bsdtcp", loop::Address::ipv4(0x7f000001, 700)});
  }
};

std::string request_body(const std::string& service, const std::string& arguments = "OPTIONS ;\n") {
  return wire::encode_request({"backup", service, arguments});
}

TEST(Exchange, AsksAndAnswersWithPartials) {
  Ends ends([](ServiceCall& call) -> Result<std::unique_ptr<Service>> {
    EXPECT_EQ(call.request().peer_host, "peer.example");
    return std::make_unique<TextService>(call, "OPTIONS features=ff;\n");
  });
  Requester requester(*ends.loop, ends.path->begin(), request_body("noop"), {});
  std::vector<std::string> partials;
  Result<std::string> reply = base::fail(base::ErrorKind::again, "nothing came");
  requester.start([&](const std::string& text) { partials.push_back(text); },
                  [&](Result<std::string> body) {
                    reply = std::move(body);
                    ends.loop->stop();
                  });
  auto guard = ends.loop->after(10s, [&] { ends.loop->stop(); });
  ends.loop->run();
  ASSERT_TRUE(reply.has_value()) << reply.error().what();
  EXPECT_EQ(*reply, "OPTIONS features=ff;\n");
  EXPECT_EQ(partials, std::vector<std::string>{"part\n"});
  ASSERT_EQ(ends.authorizer.asked.size(), 1U);
  EXPECT_EQ(ends.authorizer.asked[0].user, "backup");
  EXPECT_EQ(ends.authorizer.asked[0].service, "noop");
}

TEST(Exchange, RefusalsReachTheInitiator) {
  for (const std::string refusal : {"", "user backup from x is not allowed"}) {
    Ends ends([](ServiceCall&) -> Result<std::unique_ptr<Service>> {
      return base::fail(base::ErrorKind::refused, "frobnicate: invalid service");
    });
    ends.authorizer.refuse_with = refusal;
    Requester requester(*ends.loop, ends.path->begin(), request_body("frobnicate"), {});
    Result<std::string> reply = "nothing came";
    requester.start(nullptr, [&](Result<std::string> body) {
      reply = std::move(body);
      ends.loop->stop();
    });
    auto guard = ends.loop->after(10s, [&] { ends.loop->stop(); });
    ends.loop->run();
    ASSERT_FALSE(reply.has_value());
    EXPECT_EQ(reply.error().what(), refusal.empty() ? "frobnicate: invalid service" : refusal);
  }
}

TEST(Exchange, CarriesAStreamWhole) {
  static constexpr size_t kTotal = 3'000'001;
  Ends ends([](ServiceCall& call) -> Result<std::unique_ptr<Service>> {
    return std::make_unique<PatternService>(call, kTotal);
  });
  Requester requester(*ends.loop, ends.path->begin(), request_body("sendbackup"), {});
  std::vector<std::unique_ptr<loop::Duplex>> streams;
  std::string received;
  std::vector<std::byte> buffer(50000);
  std::function<void()> read_more = [&] {
    for (;;) {
      const auto result = streams[0]->read(buffer);
      if (result.state == loop::IoState::wait) return streams[0]->await_readable([&] { read_more(); });
      if (result.state != loop::IoState::moved) return ends.loop->stop();
      received.append(reinterpret_cast<const char*>(buffer.data()), result.bytes);
    }
  };
  requester.start(nullptr, [&](Result<std::string> body) {
    ASSERT_TRUE(body.has_value()) << body.error().what();
    auto reply = wire::parse_sendbackup_reply(*body);
    ASSERT_TRUE(reply.has_value()) << reply.error().what();
    EXPECT_EQ(reply->streams->id_of("DATA"), 499999);
    EXPECT_EQ(reply->streams->id_of("INDEX"), -1);
    requester.open_streams({reply->streams->id_of("DATA"), reply->streams->id_of("MESG"), -1},
                           [&](auto opened) {
                             ASSERT_TRUE(opened.has_value());
                             streams = std::move(*opened);
                             ASSERT_EQ(streams.size(), 3U);
                             EXPECT_EQ(streams[2], nullptr);
                             read_more();
                           });
  });
  auto guard = ends.loop->after(20s, [&] { ends.loop->stop(); });
  ends.loop->run();
  ASSERT_EQ(received.size(), kTotal);
  for (size_t i = 0; i < kTotal; i += 997) {
    ASSERT_EQ(received[i], static_cast<char>((i % 100000) * 7)) << "at " << i;
  }
}

TEST(Exchange, ALostConnectionEndsTheServiceAndTheRequest) {
  bool destroyed = false;
  Ends ends(
      [&](ServiceCall&) -> Result<std::unique_ptr<Service>> { return std::make_unique<Silent>(destroyed); });
  auto requester =
      std::make_unique<Requester>(*ends.loop, ends.path->begin(), request_body("sendsize"), RequestTimes{});
  requester->start(nullptr, [](const Result<std::string>&) {});
  ends.responder->on_idle([&] { ends.loop->stop(); });
  auto leave = ends.loop->after(50ms, [&] {
    EXPECT_EQ(ends.responder->active(), 1U);
    requester.reset();
    ends.path.reset();
  });
  auto guard = ends.loop->after(10s, [&] { ends.loop->stop(); });
  ends.loop->run();
  EXPECT_TRUE(destroyed);
  EXPECT_EQ(ends.responder->active(), 0U);
}

// The connection stays, for the next request.
TEST(Exchange, ARequestThatIsGivenUpEndsItsService) {
  bool destroyed = false;
  Ends ends([&](ServiceCall& call) -> Result<std::unique_ptr<Service>> {
    if (call.request().service == "noop") return std::make_unique<TextService>(call, "OPTIONS ;\n");
    return std::make_unique<Silent>(destroyed);
  });
  auto requester =
      std::make_unique<Requester>(*ends.loop, ends.path->begin(), request_body("sendsize"), RequestTimes{});
  requester->start(nullptr, [](const Result<std::string>&) {});
  std::function<void()> leave_when_served = [&] {
    if (ends.responder->active() == 0 || ends.authorizer.asked.empty()) {
      return ends.loop->post([&] { leave_when_served(); });
    }
    requester.reset();
  };
  ends.loop->post([&] { leave_when_served(); });
  std::function<void()> until_gone = [&] {
    if (destroyed && ends.responder->active() == 0) return ends.loop->stop();
    ends.loop->post([&] { until_gone(); });
  };
  ends.loop->post([&] { until_gone(); });
  auto guard = ends.loop->after(10s, [&] { ends.loop->stop(); });
  ends.loop->run();
  EXPECT_TRUE(destroyed);
  EXPECT_EQ(ends.responder->connections(), 1U);
  Requester next(*ends.loop, ends.path->begin(), request_body("noop"), {});
  Result<std::string> reply = "nothing came";
  next.start(nullptr, [&](Result<std::string> body) {
    reply = std::move(body);
    ends.loop->stop();
  });
  ends.loop->run();
  EXPECT_TRUE(reply.has_value());
}

TEST(Exchange, WhatIsHeldOfRequestsHasABound) {
  class Part : public Service {
   public:
    explicit Part(ServiceCall& call) : call_(call) {}
    void start() override { call_.reply_partial("part\n"); }

   private:
    ServiceCall& call_;
  };
  Ends ends(
      [](ServiceCall& call) -> Result<std::unique_ptr<Service>> { return std::make_unique<Part>(call); });
  std::vector<std::unique_ptr<Requester>> requesters;
  std::optional<base::Error> refused;
  const std::string long_one = "OPTIONS ;\n" + std::string(4'000'000, 'x') + "\n";
  // The reply to the first makes an acquaintance, who may then send long ones.
  std::function<void(const std::string&)> ask = [&](const std::string& arguments) {
    requesters.push_back(std::make_unique<Requester>(*ends.loop, ends.path->begin(),
                                                     request_body("sendsize", arguments), RequestTimes{}));
    requesters.back()->start([&](const std::string&) { ask(long_one); },
                             [&](Result<std::string> body) {
                               if (!body) refused = body.error();
                               ends.loop->stop();
                             });
  };
  ask("OPTIONS ;\n");
  auto guard = ends.loop->after(10s, [&] { ends.loop->stop(); });
  ends.loop->run();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->what(), "too much is asked of this client at once: try again later");
  EXPECT_EQ(requesters.size(), 2 + kMaxHeldRequestBytes / long_one.size());
}

// What a scanner or a stray HTTP client sends must end that connection and nothing else.
TEST(Exchange, HostileBytesEndOnlyTheirConnection) {
  const std::string too_long("\x7f\xff\xff\xff\0\0\0\1", 8);
  const std::string empty_packet = wire::encode_frame(1, std::string_view("\xff", 1));
  const std::string ack_first = wire::encode_frame(7, wire::encode_frame_packet({wire::PacketType::ack, ""}));
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), too_long, too_long.substr(0, 5), empty_packet,
        ack_first, wire::encode_frame(400000, "data for nobody"), wire::encode_frame(3, "")}) {
    auto loop = loop::make_loop(1);
    AllowAll authorizer;
    Responder responder(*loop, authorizer, [](ServiceCall&) -> Result<std::unique_ptr<Service>> {
      ADD_FAILURE() << "no service may start";
      return base::fail(base::ErrorKind::refused, "no");
    });
    auto sockets = socket_pair();
    auto there = loop::make_fd_stream(*loop, std::move(sockets[1]), loop::FdKind::socket);
    responder.serve(auth::make_mux(*loop, std::move(*there), auth::End::responder), {"bsdtcp", std::nullopt});
    ASSERT_EQ(::send(sockets[0].get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    ::shutdown(sockets[0].get(), SHUT_WR);
    responder.on_idle([&] { loop->stop(); });
    auto guard = loop->after(10s, [&] {
      ADD_FAILURE() << "the connection was not given up";
      loop->stop();
    });
    loop->run();
    EXPECT_EQ(responder.connections(), 0U);
    EXPECT_EQ(responder.active(), 0U);
  }
}

}  // namespace
}  // namespace headrace::exchange
