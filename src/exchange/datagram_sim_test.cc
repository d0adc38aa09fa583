// Requests by datagrams on virtual time: lost, doubled, late, reordered, at both ends. Each end once against
// the other and once against a test that plays it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "auth/datagram/hub.h"
#include "exchange/requester.h"
#include "exchange/responder.h"
#include "sim/sim_datagram.h"
#include "sim/sim_stream.h"

namespace headrace::exchange {
namespace {

using base::ErrorKind;
using base::Result;
using sim::SimDatagramNet;
using sim::SimLoop;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::Datagram;
using wire::Packet;
using wire::PacketType;
using Texts = std::vector<std::string>;

loop::Address server_address(uint16_t port = 850) { return loop::Address::ipv4(0x0A4D0002, port); }
loop::Address client_address() { return loop::Address::ipv4(0x0A4D000A, 10080); }

std::string request(const std::string& service, const std::string& arguments = "OPTIONS ;\n") {
  return wire::encode_request({"backup", service, arguments});
}

// Streams that need no network: both ends meet in a table. What is opened before it is accepted counts as
// connected, as with TCP.
class Meeting {
 public:
  explicit Meeting(SimLoop& loop) : loop_(loop) {}
  auth::MakeCarrier carriers() {
    return [this](const loop::Address&, loop::Callback connected) {
      return std::make_unique<Half>(*this, std::move(connected));
    };
  }
  bool ports_are_taken = false;

 private:
  struct Place {
    std::unique_ptr<loop::Duplex> far;
    auth::StreamReady waiting;
    loop::Callback* connected = nullptr;
  };
  class Half : public auth::Carrier {
   public:
    Half(Meeting& meeting, loop::Callback connected) : meeting_(meeting), connected_(std::move(connected)) {}
    ~Half() override {
      for (const uint32_t number : mine_) meeting_.places_.erase(number);
    }
    void offer(size_t count, auth::Conversation::Offered offered) override {
      if (meeting_.ports_are_taken) return offered(base::fail(ErrorKind::again, "all ports are in use"));
      for (size_t i = 0; i < count; ++i) {
        mine_.push_back(meeting_.next_++);
        meeting_.places_[mine_.back()].connected = &connected_;
      }
      offered(mine_);
    }
    void accept(uint32_t number, auth::StreamReady ready) override {
      Place& place = meeting_.places_.at(number);
      if (place.far) return ready(std::move(place.far));
      place.waiting = std::move(ready);
    }
    void open(uint32_t number, auth::StreamReady ready) override {
      const auto found = meeting_.places_.find(number);
      if (found == meeting_.places_.end()) {
        return ready(base::fail(ErrorKind::gone, "connection refused"));
      }
      auto ends = make_sim_connection(meeting_.loop_);
      Place& place = found->second;
      if (place.waiting) {
        std::exchange(place.waiting, nullptr)(std::move(ends.b));
      } else {
        place.far = std::move(ends.b);
      }
      if (*place.connected) std::exchange(*place.connected, nullptr)();
      ready(std::move(ends.a));
    }

   private:
    Meeting& meeting_;
    loop::Callback connected_;
    std::vector<uint32_t> mine_;
  };

  SimLoop& loop_;
  std::map<uint32_t, Place> places_;
  uint32_t next_ = 50000;
};

class Judge : public auth::Authorizer {
 public:
  void ask(auth::Question question, auth::Answer answer) override {
    asked.push_back(std::move(question));
    if (hold) {
      held.push_back(std::move(answer));
    } else if (denial) {
      answer(std::unexpected(*denial));
    } else {
      answer(std::string("server.example"));
    }
  }
  bool hold = false;
  std::optional<auth::Denial> denial;
  std::vector<auth::Question> asked;
  std::vector<auth::Answer> held;
};

class Told : public Service {
 public:
  Told(ServiceCall& call, std::vector<Told*>& all) : call(call), all_(all) { all_.push_back(this); }
  ~Told() override { std::erase(all_, this); }
  void start() override {}
  ServiceCall& call;

 private:
  std::vector<Told*>& all_;
};

class DatagramTest : public ::testing::Test {
 protected:
  std::string stamp() const {
    return std::to_string(
        std::chrono::duration_cast<seconds>(loop_.clock().now().time_since_epoch()).count());
  }
  static std::string text_of(const Packet& packet) {
    return std::string(wire::name_of(packet.type)) + (packet.body.empty() ? "" : " " + packet.body);
  }

  SimLoop loop_;
  SimDatagramNet net_{loop_};
  Meeting meeting_{loop_};
  Judge judge_;
  std::vector<Told*> services_;
};

// ---- the responder, against an initiator played by the test ----

class DatagramResponderTest : public DatagramTest {
 protected:
  DatagramResponderTest() {
    hub_ = auth::DatagramHub::responder(loop_, net_.bind(client_address()), meeting_.carriers());
    responder_.serve(hub_, {"bsd", std::nullopt});
    socket_ = net_.bind(server_address());
    socket_->on_datagram([this](base::Bytes bytes, const loop::Address&, const loop::Address&) {
      const auto datagram = wire::decode_datagram(bytes);
      ASSERT_TRUE(datagram) << datagram.error().what();
      EXPECT_EQ(datagram->sequence, sequence_);
      log_.push_back(stamp() + " " + datagram->handle.substr(11) + " " + text_of(datagram->packet));
    });
  }
  void send(PacketType type, const std::string& body = "", int handle = 1) {
    auto bytes = wire::encode_datagram({{type, body}, fmt::format("000-{:08x}", handle), sequence_});
    ASSERT_TRUE(bytes);
    ASSERT_TRUE(socket_->send(*bytes, client_address()));
    loop_.advance(milliseconds(5));
  }
  void send_raw(const std::string& bytes) {
    ASSERT_TRUE(socket_->send(bytes, client_address()));
    loop_.advance(milliseconds(5));
  }
  Texts take() { return std::exchange(log_, {}); }
  Told& service() {
    EXPECT_EQ(services_.size(), 1U);
    return *services_.at(0);
  }

  std::shared_ptr<auth::DatagramHub> hub_;
  Responder responder_{loop_, judge_, [this](ServiceCall& call) -> Result<std::unique_ptr<Service>> {
                         return std::make_unique<Told>(call, services_);
                       }};
  std::unique_ptr<loop::DatagramSocket> socket_;
  int32_t sequence_ = -17;
  Texts log_;
};

TEST_F(DatagramResponderTest, AnswersWhoAskedAndKnowsWhoItWas) {
  send(PacketType::req, request("noop"));
  ASSERT_EQ(judge_.asked.size(), 1U);
  EXPECT_EQ(judge_.asked[0].origin.address->text(), server_address().text());
  EXPECT_EQ(judge_.asked[0].origin.auth, "bsd");
  service().call.reply("reply");
  service().call.finished();
  loop_.advance(seconds(1));
  send(PacketType::ack);
  EXPECT_TRUE(services_.empty());
  EXPECT_EQ(responder_.active(), 0U);
  EXPECT_EQ(responder_.connections(), 0U);
  EXPECT_EQ(take(), (Texts{"0 1 ACK", "0 1 REP reply"}));
}

TEST_F(DatagramResponderTest, ADuplicateRequestGetsWhatItMissedInEachState) {
  judge_.hold = true;
  send(PacketType::req, request("sendsize"));
  send(PacketType::req, request("sendsize"));
  EXPECT_EQ(take(), Texts{"0 1 ACK"});
  judge_.held.at(0)(std::string("server.example"));
  loop_.advance(milliseconds(5));
  EXPECT_EQ(take(), Texts{"0 1 ACK"});
  EXPECT_EQ(judge_.asked.size(), 1U);
  send(PacketType::req, request("sendsize"));
  EXPECT_EQ(take(), Texts{"0 1 ACK"});
  service().call.reply("reply");
  service().call.finished();
  loop_.advance(milliseconds(5));
  send(PacketType::req, request("sendsize"));
  EXPECT_EQ(take(), (Texts{"0 1 REP reply", "0 1 REP reply"}));
  send(PacketType::ack);
  // It was served to the end: a late copy starts nothing anew, for two minutes.
  for (int i = 0; i < 11; ++i) {
    send(PacketType::req, request("sendsize"));
    loop_.advance(seconds(10));
  }
  EXPECT_EQ(judge_.asked.size(), 1U);
  EXPECT_EQ(take(), Texts{});
  EXPECT_EQ(hub_->counters().repeated, 11U);
  loop_.advance(seconds(20));
  send(PacketType::req, request("sendsize"));
  EXPECT_EQ(judge_.asked.size(), 2U);
}

TEST_F(DatagramResponderTest, IsIdleWhenNothingIsServedThoughTheSocketStays) {
  int idle = 0;
  responder_.on_idle([&] { ++idle; });
  send(PacketType::req, request("noop"), 1);
  send(PacketType::req, request("noop"), 2);
  for (Told* told : services_) {
    told->call.reply("reply");
    told->call.finished();
  }
  send(PacketType::ack, "", 1);
  EXPECT_EQ(idle, 0);
  send(PacketType::ack, "", 2);
  EXPECT_EQ(idle, 1);
}

TEST_F(DatagramResponderTest, TheReplyIsRepeatedUntilItIsAcknowledged) {
  send(PacketType::req, request("noop"));
  service().call.reply("reply");
  loop_.advance(seconds(25));
  EXPECT_EQ(take(), (Texts{"0 1 ACK", "0 1 REP reply", "10 1 REP reply", "20 1 REP reply"}));
  send(PacketType::ack);
  loop_.advance(hours(1));
  EXPECT_EQ(take(), Texts{});
}

TEST_F(DatagramResponderTest, AReplyNeverAcknowledgedIsForgottenSoThatItCanBeAskedForAgain) {
  send(PacketType::req, request("noop"));
  service().call.reply("reply");
  service().call.finished();
  loop_.advance(seconds(55));
  EXPECT_TRUE(services_.empty());
  EXPECT_EQ(take().size(), 6U);
  send(PacketType::req, request("noop"));
  EXPECT_EQ(services_.size(), 1U);
}

TEST_F(DatagramResponderTest, ARefusalIsRepeatedToWhoAsksAgain) {
  judge_.denial = auth::Denial(base::Error(ErrorKind::refused, "user x is not allowed"));
  send(PacketType::req, request("noop"));
  loop_.advance(seconds(10));
  send(PacketType::req, request("noop"));
  send(PacketType::ack);
  EXPECT_EQ(take(),
            (Texts{"0 1 NAK ERROR user x is not allowed\n", "10 1 NAK ERROR user x is not allowed\n"}));
  EXPECT_EQ(judge_.asked.size(), 1U);
}

TEST_F(DatagramResponderTest, WhoIsNotWhoItSaysHearsNothing) {
  judge_.denial = auth::Denial(base::Error(ErrorKind::refused, "no name"), true);
  send(PacketType::req, request("noop"));
  EXPECT_EQ(take(), Texts{});
  EXPECT_EQ(responder_.active(), 0U);
  EXPECT_EQ(hub_->conversations(), 0U);
}

TEST_F(DatagramResponderTest, TheSameRequestUnderAnotherHandleIsAnother) {
  send(PacketType::req, request("sendsize"), 1);
  send(PacketType::req, request("sendsize"), 2);
  EXPECT_EQ(services_.size(), 2U);
  // A backup must not run twice.
  send(PacketType::req, request("sendbackup"), 3);
  send(PacketType::req, request("sendbackup"), 4);
  EXPECT_EQ(services_.size(), 3U);
  EXPECT_EQ(take(), (Texts{"0 1 ACK", "0 2 ACK", "0 3 ACK",
                           "0 4 NAK ERROR this dump is already running on the client\n"}));
}

TEST_F(DatagramResponderTest, HandleSequenceAndPeerTellConversationsApart) {
  send(PacketType::req, request("noop"));
  auto other = net_.bind(server_address(851));
  auto same_handle = wire::encode_datagram({{PacketType::req, request("noop")}, "000-00000001", -17});
  ASSERT_TRUE(other->send(*same_handle, client_address()));
  loop_.advance(milliseconds(5));
  EXPECT_EQ(services_.size(), 2U);
  sequence_ = 18;
  send(PacketType::req, request("noop"));
  EXPECT_EQ(services_.size(), 3U);
}

TEST_F(DatagramResponderTest, WhatBeginsNothingIsDroppedAndCounted) {
  for (const char* bytes : {"", "x", "Amanda 3.5 REQ HANDLE", "Amanda 35 REQ HANDLE 000-00000001 SEQ 1\n",
                            "GET / HTTP/1.1\r\n\r\n", "\0\0\0\0"}) {
    send_raw(bytes);
  }
  EXPECT_EQ(hub_->counters().malformed, 6U);
  for (const PacketType type : {PacketType::ack, PacketType::rep, PacketType::prep, PacketType::nak}) {
    send(type, "what", 7);
  }
  EXPECT_EQ(hub_->counters().stray, 4U);
  EXPECT_EQ(hub_->conversations(), 0U);
  EXPECT_EQ(take(), Texts{});
}

TEST_F(DatagramResponderTest, AFloodOfRequestsIsBoundedByHost) {
  judge_.hold = true;
  for (int i = 0; i < 3000; ++i) {
    auto bytes = wire::encode_datagram({{PacketType::req, request("noop")}, fmt::format("000-{:08x}", i), 1});
    ASSERT_TRUE(socket_->send(*bytes, client_address()));
  }
  loop_.advance(seconds(1));
  EXPECT_EQ(hub_->conversations(), auth::kMaxConversationsOfHost);
  EXPECT_EQ(hub_->counters().crowded, 3000 - auth::kMaxConversationsOfHost);
  for (auto& answer : judge_.held)
    answer(std::unexpected(auth::Denial(base::Error(ErrorKind::refused, "no"), true)));
  loop_.advance(seconds(1));
  EXPECT_EQ(hub_->conversations(), 0U);
}

// All of one moment: none can be delivered before the last has come.
TEST_F(DatagramResponderTest, AFloodOfLongRequestsIsBoundedByBytes) {
  judge_.hold = true;
  const std::string body = request("noop") + std::string(40'000, 'x');
  const auto flood = [&](int first) {
    for (int i = first; i < first + 400; ++i) {
      auto bytes = wire::encode_datagram({{PacketType::req, body}, fmt::format("000-{:08x}", i), 1});
      ASSERT_TRUE(socket_->send(*bytes, client_address()));
    }
    loop_.advance(seconds(1));
  };
  flood(0);
  const size_t taken = auth::kMaxWaitingBytes / body.size();
  EXPECT_EQ(hub_->conversations(), taken);
  EXPECT_EQ(hub_->counters().crowded, 400 - taken);
  flood(400);
  EXPECT_EQ(hub_->conversations(), 2 * taken) << "what was delivered does not count";
}

TEST_F(DatagramResponderTest, ACrowdOfCopiesIsNotKept) {
  send(PacketType::req, request("sendsize"));
  for (int i = 0; i < 1000; ++i) {
    auto bytes = wire::encode_datagram({{PacketType::req, request("sendsize")}, "000-00000001", sequence_});
    ASSERT_TRUE(socket_->send(*bytes, client_address()));
  }
  loop_.advance(seconds(1));
  EXPECT_LE(take().size(), 1 + 1000U);
  EXPECT_EQ(services_.size(), 1U);
}

TEST_F(DatagramResponderTest, AReplyThatDoesNotFitIsRefusedInClear) {
  send(PacketType::req, request("sendsize"));
  service().call.reply(std::string(70000, 'x'));
  loop_.advance(seconds(1));
  const auto log = take();
  ASSERT_EQ(log.size(), 2U);
  EXPECT_EQ(log[1].substr(0, 40), "0 1 NAK ERROR a REP of 70043 bytes does ");
  EXPECT_TRUE(services_.empty());
}

TEST_F(DatagramResponderTest, AConnectedStreamStandsForTheLostAck) {
  send(PacketType::req, request("sendbackup"));
  std::optional<Result<Streams>> streams;
  service().call.reply_with_streams({{"DATA"}, {"MESG"}, {"INDEX", false}}, "OPTIONS ;\n",
                                    [&](Result<Streams> opened) { streams = std::move(opened); });
  loop_.advance(milliseconds(5));
  EXPECT_EQ(take(), (Texts{"0 1 ACK", "0 1 REP CONNECT DATA 50000 MESG 50001 INDEX -1\nOPTIONS ;\n"}));
  auto carrier = meeting_.carriers()(client_address(), [] {});
  // In another order than they were named in.
  std::unique_ptr<loop::Duplex> mesg;
  carrier->open(50001, [&](auto stream) { mesg = std::move(*stream); });
  loop_.advance(milliseconds(5));
  EXPECT_FALSE(streams);
  std::unique_ptr<loop::Duplex> data;
  carrier->open(50000, [&](auto stream) { data = std::move(*stream); });
  loop_.advance(seconds(60));
  ASSERT_TRUE(streams && *streams);
  EXPECT_EQ((*streams)->size(), 3U);
  EXPECT_EQ((**streams)[2], nullptr);
  // The reply was not sent again, and the ACK that comes late does no harm.
  EXPECT_EQ(take(), Texts{});
  send(PacketType::ack);
  EXPECT_EQ(services_.size(), 1U);
}

TEST_F(DatagramResponderTest, WithoutPortsTheRequestIsRefused) {
  meeting_.ports_are_taken = true;
  send(PacketType::req, request("sendbackup"));
  service().call.reply_with_streams({{"DATA"}}, "OPTIONS ;\n", [](const Result<Streams>&) { FAIL(); });
  loop_.advance(milliseconds(5));
  EXPECT_EQ(take(), (Texts{"0 1 ACK", "0 1 NAK ERROR all ports are in use\n"}));
  EXPECT_TRUE(services_.empty());
}

// ---- the initiator, against a responder played by the test ----

class DatagramRequesterTest : public DatagramTest {
 protected:
  DatagramRequesterTest() {
    hub_ = auth::DatagramHub::initiator(loop_, net_.bind(server_address()));
    carriers_ = std::make_shared<auth::MakeCarrier>(meeting_.carriers());
    socket_ = net_.bind(client_address());
    socket_->on_datagram([this](base::Bytes bytes, const loop::Address&, const loop::Address&) {
      last_ = *wire::decode_datagram(bytes);
      log_.push_back(stamp() + " " + last_.handle.substr(11) + " " + text_of(last_.packet));
    });
  }
  std::unique_ptr<Requester> ask(RequestTimes times = {}) {
    auto requester =
        std::make_unique<Requester>(loop_, hub_->begin({client_address()}, carriers_), "body", times);
    requester->start(nullptr, [this](Result<std::string> reply) {
      EXPECT_FALSE(reply_) << "told twice";
      reply_ = std::move(reply);
    });
    loop_.advance(milliseconds(5));
    return requester;
  }
  void answer(PacketType type, std::string body = "") { answer_from(*socket_, type, std::move(body)); }
  void answer_from(loop::DatagramSocket& socket, PacketType type, std::string body) {
    auto bytes = wire::encode_datagram({{type, std::move(body)}, last_.handle, last_.sequence});
    ASSERT_TRUE(socket.send(*bytes, server_address()));
    loop_.advance(milliseconds(5));
  }
  Texts take() { return std::exchange(log_, {}); }

  std::shared_ptr<auth::DatagramHub> hub_;
  std::shared_ptr<auth::MakeCarrier> carriers_;
  std::unique_ptr<loop::DatagramSocket> socket_;
  Datagram last_;
  Texts log_;
  std::optional<Result<std::string>> reply_;
};

TEST_F(DatagramRequesterTest, TheSameDatagramIsSentThreeTimes) {
  std::vector<std::string> sent;
  net_.judge_by([&](const std::string& bytes, const loop::Address&, const loop::Address&) {
    sent.push_back(bytes);
    return SimDatagramNet::Fate{};
  });
  const auto requester = ask();
  loop_.advance(seconds(31));
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[0], sent[1]);
  EXPECT_EQ(sent[0], sent[2]);
  ASSERT_TRUE(reply_ && !*reply_);
  EXPECT_EQ(reply_->error().what(), "timeout waiting for ACK");
}

TEST_F(DatagramRequesterTest, ARepeatedReplyIsAcknowledgedEvenAfterTheEnd) {
  auto requester = ask();
  EXPECT_EQ(take(), Texts{"0 0 REQ body"});
  answer(PacketType::ack);
  answer(PacketType::rep, "reply");
  ASSERT_TRUE(reply_ && *reply_);
  EXPECT_EQ(take(), Texts{"0 0 ACK"});
  answer(PacketType::rep, "reply");
  EXPECT_EQ(take(), Texts{"0 0 ACK"});
  answer(PacketType::rep, "another");
  EXPECT_EQ(take(), Texts{});
  requester.reset();
  EXPECT_EQ(hub_->conversations(), 0U);
  loop_.advance(seconds(40));
  answer(PacketType::rep, "reply");
  EXPECT_EQ(take(), Texts{"40 0 ACK"});
  answer(PacketType::rep, "of a service that a late copy of the request has started");
  EXPECT_EQ(take(), Texts{}) << "it must not go on";
  loop_.advance(seconds(100));
  answer(PacketType::rep, "reply");
  EXPECT_EQ(take(), Texts{}) << "forgotten by then";
  EXPECT_EQ(hub_->counters().stray, 1U);
}

TEST_F(DatagramRequesterTest, ACancelledRequestAcknowledgesNothing) {
  auto requester = ask();
  requester.reset();
  take();
  answer(PacketType::rep, "reply");
  EXPECT_EQ(take(), Texts{});
}

TEST_F(DatagramRequesterTest, OnlyThePeerIsHeard) {
  const auto requester = ask();
  auto stranger = net_.bind(loop::Address::ipv4(0x0A4D00FF, 10080));
  answer_from(*stranger, PacketType::rep, "forged");
  auto other_port = net_.bind(loop::Address::ipv4(0x0A4D000A, 10081));
  answer_from(*other_port, PacketType::nak, "ERROR forged\n");
  EXPECT_FALSE(reply_);
  last_.sequence += 1;
  answer(PacketType::rep, "of another time");
  EXPECT_FALSE(reply_);
  last_.sequence -= 1;
  answer(PacketType::req, "body");
  EXPECT_FALSE(reply_);
  EXPECT_EQ(hub_->counters().stray, 4U);
  answer(PacketType::rep, "true");
  ASSERT_TRUE(reply_ && *reply_);
  EXPECT_EQ(**reply_, "true");
}

TEST_F(DatagramRequesterTest, EachAddressOfAHostGetsItsTurnUntilOneAnswers) {
  const auto dead = loop::Address::ipv4(0x0A4D0063, 10080);
  Requester requester(loop_, hub_->begin({dead, client_address()}, carriers_), "body", {});
  requester.start(nullptr, [this](Result<std::string> reply) { reply_ = std::move(reply); });
  loop_.advance(seconds(5));
  EXPECT_EQ(take(), Texts{});
  loop_.advance(seconds(6));
  EXPECT_EQ(take(), Texts{"10 0 REQ body"});
  answer(PacketType::ack);
  answer(PacketType::rep, "reply");
  EXPECT_EQ(take(), Texts{"11 0 ACK"});
}

TEST_F(DatagramRequesterTest, HandlesCountUpAndConversationsDoNotMix) {
  const auto first = ask();
  const auto first_last = last_;
  std::optional<Result<std::string>> second_reply;
  Requester second(loop_, hub_->begin({client_address()}, carriers_), "second", {});
  second.start(nullptr, [&](Result<std::string> reply) { second_reply = std::move(reply); });
  loop_.advance(milliseconds(5));
  EXPECT_EQ(take(), (Texts{"0 0 REQ body", "0 1 REQ second"}));
  answer(PacketType::rep, "for the second");
  EXPECT_FALSE(reply_);
  EXPECT_TRUE(second_reply && *second_reply);
  last_ = first_last;
  answer(PacketType::rep, "for the first");
  EXPECT_TRUE(reply_ && *reply_);
}

TEST_F(DatagramRequesterTest, ARequestThatDoesNotFitIsAnError) {
  Requester requester(loop_, hub_->begin({client_address()}, carriers_), std::string(66000, 'x'), {});
  requester.start(nullptr, [this](Result<std::string> reply) { reply_ = std::move(reply); });
  loop_.advance(seconds(1));
  ASSERT_TRUE(reply_ && !*reply_);
  EXPECT_EQ(reply_->error().kind(), ErrorKind::unsupported);
  EXPECT_EQ(net_.sent(), 0U);
}

// ---- both ends over a network that loses, doubles, delays and reorders ----

class LossyTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(LossyTest, EveryDumpIsServedOnceOrBothEndsKnowThatItWasNot) {
  SimLoop loop;
  SimDatagramNet net(loop, {.latency = milliseconds(20),
                            .jitter = seconds(3),
                            .lose_one_in = 4,
                            .double_one_in = 3,
                            .seed = GetParam()});
  Meeting meeting(loop);
  Judge judge;
  std::map<std::string, int> started;
  std::vector<Told*> services;
  std::map<std::string, std::unique_ptr<loop::Timer>> work;
  size_t opened_by_client = 0;
  std::vector<Streams> held;
  Responder responder(loop, judge, [&](ServiceCall& call) -> Result<std::unique_ptr<Service>> {
    const std::string what = call.request().arguments;
    ++started[what];
    auto service = std::make_unique<Told>(call, services);
    work[what] = loop.after(seconds(2), [&call, &opened_by_client, &held] {
      call.reply_with_streams({{"DATA"}, {"MESG"}}, "OPTIONS ;\n", [&](Result<Streams> streams) {
        if (!streams) return call.finished();
        ++opened_by_client;
        held.push_back(std::move(*streams));
      });
    });
    return service;
  });
  auto client = auth::DatagramHub::responder(loop, net.bind(client_address()), meeting.carriers());
  responder.serve(client, {"bsd", std::nullopt});
  auto server = auth::DatagramHub::initiator(loop, net.bind(server_address()));
  auto carriers = std::make_shared<auth::MakeCarrier>(meeting.carriers());

  constexpr int kDumps = 40;
  std::deque<Requester> requesters;
  int good = 0;
  int failed = 0;
  std::vector<std::vector<std::unique_ptr<loop::Duplex>>> streams;
  for (int i = 0; i < kDumps; ++i) {
    auto& requester =
        requesters.emplace_back(loop, server->begin({client_address()}, carriers),
                                request("sendbackup", fmt::format("OPTIONS ;\n{}\n", i)), RequestTimes{});
    requester.start(nullptr, [&](Result<std::string> reply) {
      if (!reply) {
        ++failed;
        return;
      }
      unsigned data = 0;
      unsigned mesg = 0;
      ASSERT_EQ(std::sscanf(reply->c_str(), "CONNECT DATA %u MESG %u", &data, &mesg), 2) << *reply;
      requester.open_streams({data, mesg}, [&](auto opened) {
        ASSERT_TRUE(opened) << opened.error().what();
        ++good;
        streams.push_back(std::move(*opened));
      });
    });
  }
  loop.advance(seconds(300));
  EXPECT_EQ(good + failed, kDumps);
  EXPECT_EQ(static_cast<size_t>(good), opened_by_client);
  // Three sends of which a quarter is lost each way: few fail.
  EXPECT_LE(failed, 6);
  for (const auto& [what, times] : started) EXPECT_EQ(times, 1) << what;
}

INSTANTIATE_TEST_SUITE_P(Seeds, LossyTest, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace headrace::exchange
