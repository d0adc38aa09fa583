// The timers, resends and duplicates of a request on virtual time, each end against a test that plays the
// other.
#include <gtest/gtest.h>

#include <optional>

#include "auth/bsdtcp/bsdtcp.h"
#include "auth/mux/mux_test_ends.h"
#include "exchange/requester.h"
#include "exchange/responder.h"
#include "sim/sim_stream.h"
#include "wire/packet.h"

namespace headrace::exchange {
namespace {

using auth::CopyingTransport;
using base::ErrorKind;
using base::Result;
using sim::SimLoop;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::Packet;
using wire::PacketType;
using Texts = std::vector<std::string>;

// What one end gets, with the second at which it came: "10 REQ body".
class Log {
 public:
  explicit Log(SimLoop& loop) : loop_(loop) {}
  void add(const Result<Packet>& packet) {
    const auto now = std::chrono::duration_cast<seconds>(loop_.clock().now().time_since_epoch()).count();
    std::string text = std::to_string(now) + " ";
    if (packet) {
      text += std::string(wire::name_of(packet->type)) + (packet->body.empty() ? "" : " " + packet->body);
    } else {
      text += packet.error().what();
    }
    texts_.push_back(text);
  }
  Texts take() { return std::exchange(texts_, {}); }

 private:
  SimLoop& loop_;
  Texts texts_;
};

// ---- the requester, against a responder played by the test ----

class RequesterTest : public ::testing::Test {
 protected:
  RequesterTest() {
    near_ = auth::make_mux(loop_, std::make_unique<CopyingTransport>(std::move(connection_.a)),
                           auth::End::initiator);
    far_ = auth::make_mux(loop_, std::make_unique<CopyingTransport>(std::move(connection_.b)),
                          auth::End::responder);
    far_->serve(
        [this](std::unique_ptr<auth::Conversation> conversation) {
          talk_ = std::move(conversation);
          talk_->on_packet([this](const Result<Packet>& packet) { log_.add(packet); });
        },
        [](const Result<>&) {});
  }
  void ask(RequestTimes times = {}) {
    requester_ = std::make_unique<Requester>(loop_, near_->begin(), "body", times);
    inside_ = true;
    requester_->start([this](const std::string& text) { partials_.push_back(text); },
                      [this](Result<std::string> reply) {
                        EXPECT_FALSE(inside_);
                        EXPECT_FALSE(reply_) << "told twice";
                        reply_ = std::move(reply);
                      });
    inside_ = false;
    loop_.run_due();
  }
  void answer(PacketType type, std::string body = "") {
    ASSERT_NE(talk_, nullptr);
    ASSERT_TRUE(talk_->send({type, std::move(body)}));
    loop_.run_due();
  }
  void expect_failure(ErrorKind kind, const std::string& text) {
    ASSERT_TRUE(reply_ && !*reply_);
    EXPECT_EQ(reply_->error().kind(), kind);
    EXPECT_EQ(reply_->error().what(), text);
  }

  SimLoop loop_;
  sim::SimConnection connection_ = make_sim_connection(loop_);
  std::shared_ptr<sim::SimLink> link_ = connection_.a_to_b;
  std::shared_ptr<auth::MuxConnection> near_;
  std::shared_ptr<auth::MuxConnection> far_;
  std::unique_ptr<auth::Conversation> talk_;
  Log log_{loop_};
  std::unique_ptr<Requester> requester_;
  Texts partials_;
  std::optional<Result<std::string>> reply_;
  bool inside_ = true;
};

TEST_F(RequesterTest, SendsThreeTimesTenSecondsApart) {
  ask();
  loop_.advance(milliseconds(29'999));
  EXPECT_FALSE(reply_);
  loop_.advance(milliseconds(1));
  expect_failure(ErrorKind::again, "timeout waiting for ACK");
  loop_.advance(hours(1));
  EXPECT_EQ(log_.take(), (Texts{"0 REQ body", "10 REQ body", "20 REQ body"}));
}

TEST_F(RequesterTest, AnAckStopsTheResendsAndTheReplyIsAcknowledged) {
  ask();
  loop_.advance(seconds(15));
  answer(PacketType::ack);
  loop_.advance(seconds(59));
  answer(PacketType::rep, "reply");
  ASSERT_TRUE(reply_ && *reply_);
  EXPECT_EQ(**reply_, "reply");
  // A lost ACK: the reply comes again and is acknowledged again, and told once.
  loop_.advance(seconds(10));
  answer(PacketType::rep, "reply");
  loop_.advance(hours(2));
  EXPECT_EQ(log_.take(), (Texts{"0 REQ body", "10 REQ body", "74 ACK", "84 ACK"}));
}

TEST_F(RequesterTest, AReplyOrAPartialStandsForTheAck) {
  ask();
  answer(PacketType::prep, "one");
  loop_.advance(seconds(50));
  answer(PacketType::prep, "one two");
  // A partial is no reply: the wait goes on with what is left of it.
  loop_.advance(seconds(9));
  EXPECT_EQ(log_.take(), Texts{"0 REQ body"});
  answer(PacketType::rep, "one two three");
  ASSERT_TRUE(reply_ && *reply_);
  EXPECT_EQ(partials_, (Texts{"one", "one two"}));
  answer(PacketType::prep, "late");
  EXPECT_EQ(partials_.size(), 2U);
  EXPECT_EQ(log_.take(), Texts{"59 ACK"});
}

TEST_F(RequesterTest, ALostReplyIsAskedForAgainTwice) {
  ask({.reply_timeout = seconds(30)});
  for (int i = 0; i < 3; ++i) {
    answer(PacketType::ack);
    answer(PacketType::prep, "some");
    loop_.advance(seconds(30));
  }
  expect_failure(ErrorKind::again, "timeout waiting for REP");
  EXPECT_EQ(log_.take(), (Texts{"0 REQ body", "30 REQ body", "60 REQ body"}));
}

TEST_F(RequesterTest, NothingIsAskedAgainAfterAnHour) {
  ask({.reply_timeout = hours(1)});
  answer(PacketType::ack);
  loop_.advance(hours(1));
  expect_failure(ErrorKind::again, "timeout waiting for REP");
  EXPECT_EQ(log_.take(), Texts{"0 REQ body"});
}

TEST_F(RequesterTest, ARestartHasFreshTriesForTheAck) {
  ask({.reply_timeout = seconds(30)});
  answer(PacketType::ack);
  loop_.advance(seconds(60));
  expect_failure(ErrorKind::again, "timeout waiting for ACK");
  EXPECT_EQ(log_.take(), (Texts{"0 REQ body", "30 REQ body", "40 REQ body", "50 REQ body"}));
}

TEST_F(RequesterTest, ARefusalIsTheOutcomeWhenever) {
  for (const bool accepted : {false, true}) {
    reply_.reset();
    ask();
    if (accepted) answer(PacketType::ack);
    answer(PacketType::nak, "ERROR x: invalid service\n");
    expect_failure(ErrorKind::refused, "x: invalid service");
    loop_.advance(auth::kAskWithin - seconds(1));  // then the connection would be closed
    requester_.reset();
    talk_.reset();
    loop_.run_due();
  }
}

TEST_F(RequesterTest, ALostConnectionIsTheOutcomeInEachState) {
  for (int state = 0; state < 3; ++state) {
    SimLoop loop;
    auto connection = make_sim_connection(loop);
    const auto link = connection.a_to_b;
    auto near = auth::make_mux(loop, std::make_unique<CopyingTransport>(std::move(connection.a)),
                               auth::End::initiator);
    Requester requester(loop, near->begin(), "body", {});
    std::optional<Result<std::string>> reply;
    if (state == 0) link->reset();
    requester.start(nullptr, [&](Result<std::string> body) { reply = std::move(body); });
    EXPECT_FALSE(reply);
    if (state == 2) {
      loop.run_due();
      const std::string ack("\0\0\0\2\0\0\0\1\3\0", 10);
      const iovec piece{const_cast<char*>(ack.data()), ack.size()};
      ASSERT_EQ(connection.b->write({&piece, 1}).bytes, ack.size());
    }
    loop.run_due();
    link->reset();
    loop.run_due();
    ASSERT_TRUE(reply && !*reply) << state;
    EXPECT_EQ(reply->error().kind(), ErrorKind::gone);
    ASSERT_TRUE(loop.run_until_idle(hours(10)));
  }
}

TEST_F(RequesterTest, DestroyingItEndsTheConversation) {
  ask();
  requester_.reset();
  ASSERT_TRUE(loop_.run_until_idle());
  EXPECT_FALSE(reply_);
  EXPECT_EQ(log_.take(), (Texts{"0 REQ body", "0 the peer ended the conversation"}));
}

TEST_F(RequesterTest, AHostileStreamNumberIsAnError) {
  ask();
  answer(PacketType::rep, "reply");
  for (const std::vector<int64_t>& numbers :
       {std::vector<int64_t>{499999, 499999}, {7}, {int64_t{1} << 32U}}) {
    std::optional<Result<std::vector<std::unique_ptr<loop::Duplex>>>> opened;
    requester_->open_streams(numbers, [&](auto streams) { opened = std::move(streams); });
    loop_.run_due();
    ASSERT_TRUE(opened);
    ASSERT_FALSE(*opened);
    EXPECT_EQ(opened->error().kind(), ErrorKind::corrupt);
  }
}

// ---- the responder, against an initiator played by the test ----

class AskLater : public auth::Authorizer {
 public:
  void ask(auth::Question, auth::Answer answer) override {
    if (!hold) return answer(std::string("server.example"));
    held = std::move(answer);
  }
  bool hold = false;
  auth::Answer held;
};

// A service that does what the test tells it.
class Told : public Service {
 public:
  Told(ServiceCall& call, std::vector<Told*>& all) : call(call), all_(all) { all_.push_back(this); }
  ~Told() override { std::erase(all_, this); }
  void start() override { started = true; }
  ServiceCall& call;
  bool started = false;

 private:
  std::vector<Told*>& all_;
};

class ResponderTest : public ::testing::Test {
 protected:
  ResponderTest() { connect(); }
  void connect() {
    auto connection = make_sim_connection(loop_);
    link_ = connection.a_to_b;
    mux_ = auth::make_mux(loop_, std::make_unique<CopyingTransport>(std::move(connection.a)),
                          auth::End::initiator);
    responder_.serve(auth::make_mux(loop_, std::make_unique<CopyingTransport>(std::move(connection.b)),
                                    auth::End::responder),
                     {"bsdtcp", loop::Address::ipv4(0x7f000001, 700)});
    talk_ = begin();
  }
  std::unique_ptr<auth::Conversation> begin() {
    auto talk = mux_->begin();
    talk->on_packet([this](const Result<Packet>& packet) { log_.add(packet); });
    return talk;
  }
  void send(PacketType type, const std::string& body = "") { send_on(*talk_, type, body); }
  void send_on(auth::Conversation& talk, PacketType type, const std::string& body = "") {
    ASSERT_TRUE(talk.send({type, body}));
    loop_.run_due();
  }
  static std::string request(const std::string& service, const std::string& arguments = "OPTIONS ;\n") {
    return wire::encode_request({"backup", service, arguments});
  }
  Told* service_named(const std::string& arguments) {
    for (Told* told : services_) {
      if (told->call.request().arguments == arguments) return told;
    }
    return nullptr;
  }
  Told& service() {
    EXPECT_EQ(services_.size(), 1U);
    return *services_.at(0);
  }

  SimLoop loop_;
  AskLater authorizer_;
  std::vector<Told*> services_;
  Log log_{loop_};
  Responder responder_{loop_, authorizer_, [this](ServiceCall& call) -> Result<std::unique_ptr<Service>> {
                         if (call.request().service == "frobnicate") {
                           return base::fail(ErrorKind::refused, "frobnicate: invalid service");
                         }
                         return std::make_unique<Told>(call, services_);
                       }};
  std::shared_ptr<sim::SimLink> link_;
  std::shared_ptr<auth::MuxConnection> mux_;
  std::unique_ptr<auth::Conversation> talk_;
};

TEST_F(ResponderTest, TheReplyIsSentFiveTimesThenTheServiceIsGivenUp) {
  send(PacketType::req, request("noop"));
  EXPECT_TRUE(service().started);
  loop_.advance(seconds(3));
  service().call.reply("reply");
  service().call.finished();
  loop_.advance(milliseconds(49'999));
  EXPECT_EQ(services_.size(), 1U);
  loop_.advance(milliseconds(1));
  EXPECT_TRUE(services_.empty());
  EXPECT_EQ(responder_.active(), 0U);
  EXPECT_EQ(log_.take(),
            (Texts{"0 ACK", "3 REP reply", "13 REP reply", "23 REP reply", "33 REP reply", "43 REP reply"}));
}

TEST_F(ResponderTest, AnAckEndsTheResends) {
  send(PacketType::req, request("noop"));
  service().call.reply("reply");
  loop_.advance(seconds(15));
  send(PacketType::ack);
  EXPECT_EQ(services_.size(), 1U) << "it has not said that it is finished";
  loop_.advance(hours(7));
  service().call.finished();
  loop_.run_due();
  EXPECT_TRUE(services_.empty());
  EXPECT_EQ(log_.take(), (Texts{"0 ACK", "0 REP reply", "10 REP reply"}));
}

TEST_F(ResponderTest, ADuplicateRequestGetsWhatItMissed) {
  authorizer_.hold = true;
  send(PacketType::req, request("sendsize"));
  send(PacketType::req, request("sendsize"));
  authorizer_.held(std::string("server.example"));
  loop_.run_due();
  EXPECT_EQ(log_.take(), (Texts{"0 ACK", "0 ACK"}));
  loop_.advance(seconds(5));
  send(PacketType::req, request("sendsize"));
  service().call.reply_partial("part");
  loop_.run_due();
  EXPECT_EQ(log_.take(), (Texts{"5 ACK", "5 PREP part"}));
  service().call.reply("reply");
  loop_.run_due();
  send(PacketType::req, request("sendsize"));
  EXPECT_EQ(log_.take(), (Texts{"5 REP reply", "5 REP reply"}));
  EXPECT_EQ(services_.size(), 1U);
}

TEST_F(ResponderTest, PacketsOutOfPlaceAreRefused) {
  for (const PacketType type : {PacketType::rep, PacketType::prep, PacketType::nak}) {
    talk_ = begin();
    send(PacketType::req, request("noop"));
    send(type, "what");
    EXPECT_TRUE(services_.empty());
    EXPECT_EQ(log_.take(), (Texts{"0 ACK", "0 NAK ERROR unexpected packet type " +
                                               std::string(wire::name_of(type)) + "\n"}));
    // Nor does one begin a conversation.
    talk_ = begin();
    send(type, "what");
    EXPECT_EQ(log_.take(), Texts{});
    EXPECT_EQ(responder_.active(), 0U);
  }
}

TEST_F(ResponderTest, AServiceThatDoesNotReplyIsEndedAfterSixHours) {
  send(PacketType::req, request("sendsize"));
  loop_.advance(hours(6) - seconds(1));
  EXPECT_EQ(services_.size(), 1U);
  loop_.advance(seconds(1));
  EXPECT_TRUE(services_.empty());
  EXPECT_EQ(log_.take(), (Texts{"0 ACK", "21600 NAK ERROR timeout on reply pipe\n"}));
}

TEST_F(ResponderTest, RefusalsSayWhatAmandaSays) {
  struct Case {
    std::string body;
    std::string text;
  };
  for (const Case& c : {Case{"SERVICE noop\nOPTIONS ;\n", "no bsd SECURITY for P_REQ"},
                        Case{"SECURITY HOST x\nSERVICE noop\nOPTIONS ;\n",
                             "REQ SECURITY line parse error, expecting USER, got HOST"},
                        Case{"SECURITY USER backup\nNOSERVICE\n", "packet as no SERVICE line"},
                        Case{"SECURITY USER backup\nSERVICE noop\n", "invalid REQ"},
                        Case{request("frobnicate"), "frobnicate: invalid service"}}) {
    talk_ = begin();
    send(PacketType::req, c.body);
    EXPECT_EQ(log_.take(), Texts{"0 NAK ERROR " + c.text + "\n"});
    EXPECT_EQ(responder_.active(), 0U);
  }
  authorizer_.hold = true;
  talk_ = begin();
  send(PacketType::req, request("noop"));
  authorizer_.held(base::fail(ErrorKind::refused, "user backup\nis not allowed"));
  loop_.run_due();
  EXPECT_EQ(log_.take(), Texts{"0 NAK ERROR user backup is not allowed\n"});
  EXPECT_TRUE(services_.empty());
}

TEST_F(ResponderTest, OneBackupRunsOnce) {
  send(PacketType::req, request("sendbackup", "OPTIONS ;\nGNUTAR / 0\n"));
  const auto second = begin();
  send_on(*second, PacketType::req, request("sendbackup", "OPTIONS ;\nGNUTAR / 0\n"));
  EXPECT_EQ(log_.take(), (Texts{"0 ACK", "0 NAK ERROR this dump is already running on the client\n"}));
  const auto third = begin();
  send_on(*third, PacketType::req, request("sendbackup", "OPTIONS ;\nGNUTAR / 1\n"));
  EXPECT_EQ(services_.size(), 2U);
  EXPECT_EQ(log_.take(), Texts{"0 ACK"});
  // When the first is over, it may run again.
  service_named("OPTIONS ;\nGNUTAR / 0\n")->call.refuse("broken");
  loop_.run_due();
  const auto fourth = begin();
  send_on(*fourth, PacketType::req, request("sendbackup", "OPTIONS ;\nGNUTAR / 0\n"));
  EXPECT_EQ(log_.take(), (Texts{"0 NAK ERROR broken\n", "0 ACK"}));
}

TEST_F(ResponderTest, ALostConnectionEndsTheRequestInEachState) {
  enum class At { asking, serving, replied, streaming };
  for (const At at : {At::asking, At::serving, At::replied, At::streaming}) {
    connect();
    authorizer_.hold = at == At::asking;
    std::optional<Streams> streams;
    send(PacketType::req, request("sendbackup"));
    if (at >= At::replied) {
      service().call.reply_with_streams({{"DATA"}, {"MESG"}, {"INDEX", false}}, "OPTIONS ;\n",
                                        [&](Result<Streams> opened) { streams = std::move(*opened); });
      loop_.run_due();
    }
    if (at == At::streaming) {
      send(PacketType::ack);
      ASSERT_TRUE(streams);
      EXPECT_EQ(streams->size(), 3U);
      EXPECT_EQ((*streams)[2], nullptr);
    }
    EXPECT_EQ(responder_.active(), 1U);
    EXPECT_EQ(services_.size(), at == At::asking ? 0U : 1U);
    link_->reset();
    loop_.run_due();
    EXPECT_EQ(responder_.active(), 0U);
    EXPECT_TRUE(services_.empty());
    EXPECT_EQ(responder_.connections(), 0U);
    if (at == At::asking) authorizer_.held(std::string("too late"));
    loop_.run_due();
    EXPECT_TRUE(services_.empty());
    talk_.reset();
    mux_.reset();
  }
}

}  // namespace
}  // namespace headrace::exchange
