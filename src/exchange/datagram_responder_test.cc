// The responder of requests by datagrams, against a test that plays the server, on virtual time.
#include <gtest/gtest.h>

#include "exchange/datagram_test_support.h"
#include "sim/sim_datagram.h"
#include "sim/sim_stream.h"

namespace headrace::exchange {
namespace {

using sim::SimDatagramNet;
using sim::SimLoop;

class DatagramResponderTest : public DatagramTest<SimLoop, SimDatagramNet> {
 protected:
  Meeting meeting_{[this] { return connection(loop_); }};

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

}  // namespace
}  // namespace headrace::exchange
