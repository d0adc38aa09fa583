// The requester by datagrams, against a test that plays the client, on virtual time.
#include <gtest/gtest.h>

#include "exchange/datagram_test_support.h"
#include "sim/sim_datagram.h"
#include "sim/sim_stream.h"

namespace headrace::exchange {
namespace {

using sim::SimDatagramNet;
using sim::SimLoop;

class DatagramRequesterTest : public DatagramTest<SimLoop, SimDatagramNet> {
 protected:
  Meeting meeting_{[this] { return connection(loop_); }};

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

}  // namespace
}  // namespace headrace::exchange
