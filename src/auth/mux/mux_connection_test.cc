// Framed connections against peers that say anything, in any pieces, and against readers that stop.
#include "auth/mux/mux_connection.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "auth/mux/mux_test_ends.h"
#include "auth/mux/mux_test_streams.h"
#include "sim/sim_stream.h"
#include "wire/frame.h"

namespace headrace::auth {
namespace {

using base::ErrorKind;
using base::Result;
using loop::IoState;
using sim::SimLinkOptions;
using sim::SimLoop;
using std::chrono::milliseconds;
using wire::PacketType;

std::string packet(uint32_t handle, PacketType type, const std::string& body) {
  return wire::encode_frame(handle, wire::encode_frame_packet({type, body}));
}

// A connection whose other end is the test itself, speaking raw bytes.
class Raw {
 public:
  explicit Raw(End end, SimLinkOptions to_mux = {}, SimLinkOptions from_mux = {})
      : connection_(make_sim_connection(loop, std::move(to_mux), std::move(from_mux))) {
    mux = make_mux(loop, std::make_unique<CopyingTransport>(std::move(connection_.b)), end);
    if (end == End::initiator) {
      ours = mux->begin();
      return;
    }
    mux->serve(
        [this](std::unique_ptr<Conversation> conversation) {
          opened.push_back(std::move(conversation));
          listen(*opened.back());
        },
        [this](Result<> outcome) { closed = std::move(outcome); });
  }
  void listen(Conversation& conversation) {
    conversation.on_packet([this](Result<wire::Packet> packet) {
      log.push_back(packet ? fmt::format("{} {}", wire::name_of(packet->type), packet->body)
                           : packet.error().what());
    });
  }
  // Sends all of it, as room comes.
  void send(std::string text) {
    out_ += text;
    push();
  }
  void end() { connection_.a->abandon(); }
  void reset() { connection_.a_to_b->reset(); }
  // What the connection has sent since the last call.
  std::string received() {
    loop.run_due();
    std::string text;
    while (true) {
      const auto got = connection_.a->read(in_);
      if (got.state != IoState::moved) return text;
      text += base::as_text(std::span(in_).first(got.bytes));
      loop.run_due();
    }
  }
  uint64_t bytes_taken() const { return connection_.a_to_b->bytes_read(); }
  size_t unsent() const { return out_.size(); }
  bool writer_waits() const { return connection_.a_to_b->writer_waits(); }

  SimLoop loop;
  std::shared_ptr<MuxConnection> mux;
  std::unique_ptr<Conversation> ours;
  std::vector<std::unique_ptr<Conversation>> opened;
  std::vector<std::string> log;
  std::optional<Result<>> closed;

 private:
  void push() {
    while (!out_.empty()) {
      offer_.assign(out_, 0, 65536);  // in place
      const iovec piece{offer_.data(), offer_.size()};
      const auto put = connection_.a->write({&piece, 1});
      if (put.state != IoState::moved) return connection_.a->await_writable([this] { push(); });
      out_.erase(0, put.bytes);
    }
  }
  sim::SimConnection connection_;
  std::string out_;
  std::string offer_ = std::string(65536, '\0');
  std::vector<std::byte> in_ = std::vector<std::byte>(65536);
};

std::unique_ptr<loop::Duplex> open_stream(Conversation& conversation, uint32_t number) {
  std::unique_ptr<loop::Duplex> stream;
  conversation.open_stream(number, [&](auto opened) {
    ASSERT_TRUE(opened) << opened.error().what();
    stream = std::move(*opened);
  });
  return stream;
}

// ---- what peers may send ----

TEST(MuxConnection, AnySplitOfTheInputGivesTheSame) {
  const std::string data(70000, 'd');
  const std::string bytes = packet(1, PacketType::ack, "") + wire::encode_frame(499999, data) +
                            wire::encode_frame(499998, "index") + packet(1, PacketType::prep, "part") +
                            wire::encode_frame(499998, "") + wire::encode_frame(499999, "more") +
                            packet(1, PacketType::rep, std::string(200000, 'r')) +
                            wire::encode_frame(499999, "");
  for (uint64_t seed = 0; seed <= 60; ++seed) {
    // 0: all at once; then pieces of 1 … 40 bytes, and of up to a frame.
    const size_t largest = seed == 0 ? 0 : seed <= 3 ? 40 : 1000 * seed;
    Raw raw(End::initiator, {.largest_move_bytes = largest, .false_wait_one_in = 5, .seed = seed});
    raw.listen(*raw.ours);
    const auto data_stream = open_stream(*raw.ours, 499999);
    const auto index_stream = open_stream(*raw.ours, 499998);
    Reader data_reader(*data_stream);
    Reader index_reader(*index_stream);
    raw.send(bytes);
    ASSERT_TRUE(raw.loop.run_until_idle());
    ASSERT_EQ(data_reader.text, data + "more") << seed;
    ASSERT_EQ(data_reader.state, IoState::end);
    ASSERT_EQ(index_reader.text, "index");
    ASSERT_EQ(index_reader.state, IoState::end);
    ASSERT_EQ(raw.log.size(), 3U);
    EXPECT_EQ(raw.log[0], "ACK ");
    EXPECT_EQ(raw.log[1], "PREP part");
    EXPECT_EQ(raw.log[2], "REP " + std::string(200000, 'r'));
  }
}

TEST(MuxConnection, TakesFramesOfMaximalLengthAndNoLonger) {
  Raw raw(End::initiator);
  const auto stream = open_stream(*raw.ours, 499999);
  Reader reader(*stream);
  raw.listen(*raw.ours);
  const std::string most(wire::kMaxFrameBytes, 'x');
  raw.send(wire::encode_frame(499999, most));
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(reader.text.size(), most.size());
  const auto header = wire::encode_frame_header({wire::kMaxFrameBytes + 1, 499999});
  raw.send(std::string(base::as_text(header)) + most);
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(reader.state, IoState::failed);
  EXPECT_EQ(stream->error().kind(), ErrorKind::corrupt);
  ASSERT_EQ(raw.log.size(), 1U);
  EXPECT_EQ(raw.log[0], "a frame of 4194305 bytes, more than the 4194304 allowed");
  EXPECT_FALSE(raw.ours->send({PacketType::ack, ""}));
}

TEST(MuxConnection, APacketOfMaximalLengthIsDeliveredAndALongerOneNotSent) {
  Raw raw(End::responder);
  raw.send(packet(4, PacketType::req, "first"));
  ASSERT_TRUE(raw.loop.run_until_idle());
  ASSERT_TRUE(raw.opened[0]->send({PacketType::rep, "known"}));
  raw.send(packet(4, PacketType::req, std::string(wire::kMaxFrameBytes - 2, 'q')));
  ASSERT_TRUE(raw.loop.run_until_idle());
  ASSERT_EQ(raw.log.size(), 2U);
  EXPECT_EQ(raw.log[1].size(), 4 + wire::kMaxFrameBytes - 2);
  const auto sent = raw.opened[0]->send({PacketType::rep, std::string(wire::kMaxFrameBytes, 'r')});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind(), ErrorKind::unsupported);
  EXPECT_TRUE(raw.opened[0]->send({PacketType::rep, "short"}));
  EXPECT_EQ(raw.received(), packet(4, PacketType::rep, "known") + packet(4, PacketType::rep, "short"));
}

// Whoever can connect can make us hold what it sends; a NAK makes nobody an acquaintance.
TEST(MuxConnection, APeerThatAsksForNothingIsLetGo) {
  Raw raw(End::responder);
  raw.send(packet(1, PacketType::req, "SERVICE noop\n").substr(0, 5));
  raw.loop.advance(kAskWithin - milliseconds(1));
  EXPECT_FALSE(raw.closed);
  raw.loop.advance(milliseconds(2));
  ASSERT_TRUE(raw.closed);
  ASSERT_FALSE(*raw.closed);
  EXPECT_EQ(raw.closed->error().what(), "the peer has asked for nothing in 30 s");
}

TEST(MuxConnection, APeerThatAskedMayWaitButOneThatWasRefusedHasToAskAgain) {
  Raw raw(End::responder);
  raw.send(packet(1, PacketType::req, "SERVICE noop\n"));
  raw.loop.advance(10 * kAskWithin);
  EXPECT_FALSE(raw.closed) << "what it asked for may take long";
  ASSERT_EQ(raw.opened.size(), 1U);
  ASSERT_TRUE(raw.opened[0]->send({PacketType::nak, "ERROR no\n"}));
  raw.loop.advance(kAskWithin - milliseconds(1));
  EXPECT_FALSE(raw.closed);
  raw.loop.advance(milliseconds(2));
  EXPECT_TRUE(raw.closed);
}

TEST(MuxConnection, AStrangersPacketIsHeldToLess) {
  for (const bool refused : {true, false}) {
    Raw raw(End::responder);
    raw.send(packet(1, PacketType::req, std::string(kMaxFirstPacketBytes - 2, 'q')));
    ASSERT_TRUE(raw.loop.run_until_idle());
    ASSERT_EQ(raw.log.size(), 1U);
    ASSERT_TRUE(raw.opened[0]->send({refused ? PacketType::nak : PacketType::prep, "so"}));
    raw.send(packet(2, PacketType::req, std::string(kMaxFirstPacketBytes, 'q')));
    ASSERT_TRUE(raw.loop.run_until_idle());
    EXPECT_EQ(raw.closed.has_value(), refused);
    if (!refused) continue;
    EXPECT_EQ(raw.log[1], "a first request of 262146 bytes, more than the 262144 allowed");
    EXPECT_LT(raw.bytes_taken(), kMaxFirstPacketBytes + 1000) << "nothing of it was read";
  }
}

TEST(MuxConnection, AResponderLearnsThatItsPeerEndedAConversation) {
  Raw raw(End::responder);
  raw.send(packet(3, PacketType::req, "first") + wire::encode_frame(3, "") + wire::encode_frame(3, "") +
           packet(4, PacketType::req, "second"));
  ASSERT_TRUE(raw.loop.run_until_idle());
  ASSERT_EQ(raw.log.size(), 3U) << "told once";
  EXPECT_EQ(std::ranges::count(raw.log, "the peer ended the conversation"), 1);
  EXPECT_FALSE(raw.closed);

  Raw initiator(End::initiator);
  initiator.listen(*initiator.ours);
  initiator.send(wire::encode_frame(1, "") + packet(1, PacketType::rep, "after all"));
  ASSERT_TRUE(initiator.loop.run_until_idle());
  EXPECT_EQ(initiator.log, std::vector<std::string>{"REP after all"});
}

TEST(MuxConnection, FramesForUnknownHandlesAreDropped) {
  Raw raw(End::responder);
  std::string bytes;
  for (uint32_t i = 0; i < 5000; ++i) {
    bytes += wire::encode_frame(kFirstNonControlHandle + i, std::string(500, 'u'));
    bytes += wire::encode_frame(kFirstNonControlHandle + i, "");
    bytes += wire::encode_frame(i, "");
  }
  raw.send(bytes + packet(3, PacketType::req, "after"));
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(raw.log, std::vector<std::string>{"REQ after"});
  EXPECT_FALSE(raw.closed);

  Raw initiator(End::initiator);
  initiator.listen(*initiator.ours);
  bytes.clear();
  for (uint32_t i = 0; i < 5000; ++i) {
    bytes += packet(2 + i, PacketType::rep, "unclaimed") + wire::encode_frame(2 + i, "") +
             wire::encode_frame(600000 + i, "") + wire::encode_frame(600000 + i, "unclaimed");
  }
  initiator.send(bytes + packet(1, PacketType::rep, "after"));
  ASSERT_TRUE(initiator.loop.run_until_idle());
  EXPECT_EQ(initiator.log, std::vector<std::string>{"REP after"});
}

TEST(MuxConnection, WhoComesInTheMiddleOfAFrameGetsNothingOfIt) {
  Raw raw(End::initiator);
  const std::string frame = packet(2, PacketType::rep, "for nobody");
  raw.send(frame.substr(0, 12));
  ASSERT_TRUE(raw.loop.run_until_idle());
  const auto second = raw.mux->begin();
  raw.listen(*second);
  raw.send(frame.substr(12) + packet(2, PacketType::ack, ""));
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(raw.log, std::vector<std::string>{"ACK "});
}

TEST(MuxConnection, AStreamIsTakenOnce) {
  Raw raw(End::initiator);
  auto first = open_stream(*raw.ours, 499999);
  Result<std::unique_ptr<loop::Duplex>> again;
  raw.ours->open_stream(499999, [&](auto opened) { again = std::move(opened); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind(), ErrorKind::corrupt);
  raw.ours->open_stream(7, [&](auto opened) { again = std::move(opened); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().what(), "the peer named stream 7, which is no stream handle");
}

TEST(MuxConnection, WhatComesAfterAStreamsEndIsDropped) {
  Raw raw(End::initiator);
  const auto stream = open_stream(*raw.ours, 499999);
  raw.send(wire::encode_frame(499999, "all") + wire::encode_frame(499999, "") +
           wire::encode_frame(499999, std::string(3 * kStreamQueueBytes, 'z')) +
           packet(1, PacketType::rep, "reply"));
  raw.listen(*raw.ours);
  ASSERT_TRUE(raw.loop.run_until_idle());
  Reader reader(*stream);
  EXPECT_EQ(reader.text, "all");
  EXPECT_EQ(reader.state, IoState::end);
  EXPECT_EQ(raw.log, std::vector<std::string>{"REP reply"});
}

TEST(MuxConnection, AResetInTheMiddleOfAFrameReachesAll) {
  for (const bool reset : {true, false}) {
    Raw raw(End::responder);
    raw.send(packet(1, PacketType::req, "first"));
    ASSERT_TRUE(raw.loop.run_until_idle());
    const auto number = offer_stream(*raw.opened[0]);
    ASSERT_TRUE(number);
    std::unique_ptr<loop::Duplex> stream;
    raw.opened[0]->accept_stream(*number, [&](auto accepted) { stream = std::move(*accepted); });
    Reader reader(*stream);
    raw.send(wire::encode_frame(*number, "whole") + wire::encode_frame(*number, "begun").substr(0, 10));
    ASSERT_TRUE(raw.loop.run_until_idle());
    reset ? raw.reset() : raw.end();
    ASSERT_TRUE(raw.loop.run_until_idle());
    EXPECT_EQ(reader.text, "wholebe");
    EXPECT_EQ(reader.state, IoState::failed);
    EXPECT_EQ(stream->error().kind(), ErrorKind::gone);
    ASSERT_EQ(raw.log.size(), 2U);
    if (!reset) EXPECT_EQ(raw.log[1], "the peer closed the connection in the middle of a frame");
    ASSERT_TRUE(raw.closed);
    EXPECT_FALSE(*raw.closed);
    const iovec piece{reader.text.data(), 5};
    EXPECT_EQ(stream->write({&piece, 1}).state, IoState::failed);
    bool woken = false;
    stream->await_writable([&] { woken = true; });
    ASSERT_TRUE(raw.loop.run_until_idle());
    EXPECT_TRUE(woken);
  }
}

TEST(MuxConnection, AnEndBetweenFramesIsProper) {
  Raw raw(End::responder);
  raw.send(packet(1, PacketType::req, "first") + wire::encode_frame(1, ""));
  raw.end();
  ASSERT_TRUE(raw.loop.run_until_idle());
  ASSERT_TRUE(raw.closed);
  EXPECT_TRUE(*raw.closed);
  EXPECT_EQ(raw.log, (std::vector<std::string>{"REQ first", "the peer ended the conversation",
                                               "the peer closed the connection"}));
}

// ---- bounds ----

TEST(MuxConnection, PacketsThatAreNotTakenStopTheConnection) {
  Raw raw(End::initiator);  // whose conversation nobody listens to yet
  const std::string one = packet(1, PacketType::prep, std::string(1000, 'p'));
  std::string bytes;
  for (int i = 0; i < 3000; ++i) bytes += one;
  raw.send(bytes);
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_LT(raw.bytes_taken(), kMaxWaitingPackets + 2 * one.size());
  EXPECT_TRUE(raw.writer_waits());
  raw.listen(*raw.ours);
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(raw.log.size(), 3000U);
}

TEST(MuxConnection, PacketsThatAreNotTakenAreForgottenWithTheirConversation) {
  Raw raw(End::initiator);
  auto second = raw.mux->begin();
  raw.listen(*second);
  std::string bytes;
  for (int i = 0; i < 3000; ++i) bytes += packet(1, PacketType::prep, std::string(1000, 'p'));
  raw.send(bytes + packet(2, PacketType::rep, "for the second"));
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_TRUE(raw.log.empty());
  raw.ours.reset();
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(raw.log, std::vector<std::string>{"REP for the second"});
}

TEST(MuxConnection, AFloodOfEmptyFramesLeavesTheLoopItsTurns) {
  Raw raw(End::responder, {.capacity_bytes = size_t{1} << 20U});
  std::string bytes;
  for (int i = 0; i < 100000; ++i) bytes += wire::encode_frame(9, "");
  raw.send(bytes);
  raw.loop.run_due();
  ASSERT_EQ(raw.bytes_taken(), bytes.size());
  // It took them in many turns, not in one.
  EXPECT_GT(raw.loop.events_run(), 40U);
}

TEST(MuxConnection, APeerThatDoesNotReadItsPacketsIsGivenUp) {
  Raw raw(End::responder);
  raw.send(packet(1, PacketType::req, "first"));
  ASSERT_TRUE(raw.loop.run_until_idle());
  const std::string body(size_t{1} << 20U, 'b');
  size_t sent = 0;
  Result<> outcome;
  while ((outcome = raw.opened[0]->send({PacketType::prep, body})) && sent < 100) ++sent;
  EXPECT_LE(sent, kMaxControlBacklog / body.size() + 1);
  EXPECT_GE(sent, kMaxControlBacklog / body.size() - 1);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().what(), "the peer does not read its packets");
  ASSERT_TRUE(raw.loop.run_until_idle());
  ASSERT_TRUE(raw.closed);
  EXPECT_FALSE(*raw.closed);
}

TEST(MuxConnection, AnUnreadStreamIsHeldToItsQueue) {
  Raw raw(End::initiator);
  const auto stream = open_stream(*raw.ours, 499999);
  std::string data;
  for (size_t i = 0; i < 300000; ++i) data += static_cast<char>('a' + i % 23);
  raw.send(wire::encode_frame(499999, data) + wire::encode_frame(499999, data) +
           packet(1, PacketType::rep, "behind"));
  raw.listen(*raw.ours);
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_LE(raw.bytes_taken(), kStreamQueueBytes + wire::kFrameHeaderBytes);
  EXPECT_TRUE(raw.log.empty());
  Reader reader(*stream);
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(reader.text, data + data);
  EXPECT_EQ(raw.log, std::vector<std::string>{"REP behind"});
}

TEST(MuxConnection, AClosedStreamHoldsNothingUp) {
  for (const bool destroyed : {true, false}) {
    Raw raw(End::initiator);
    auto stream = open_stream(*raw.ours, 499999);
    raw.listen(*raw.ours);
    raw.send(wire::encode_frame(499999, std::string(3 * kStreamQueueBytes, 'd')) +
             packet(1, PacketType::rep, "behind"));
    ASSERT_TRUE(raw.loop.run_until_idle());
    EXPECT_TRUE(raw.log.empty());
    if (destroyed) {
      stream.reset();
    } else {
      stream->close_read();
    }
    ASSERT_TRUE(raw.loop.run_until_idle());
    EXPECT_EQ(raw.log, std::vector<std::string>{"REP behind"});
  }
}

TEST(MuxConnection, AnOfferedStreamNobodyTookHoldsNothingUp) {
  Raw raw(End::responder);
  raw.send(packet(1, PacketType::req, "first"));
  ASSERT_TRUE(raw.loop.run_until_idle());
  ASSERT_EQ(*offer_stream(*raw.opened[0]), kFirstStreamHandle);
  raw.opened.clear();
  raw.send(wire::encode_frame(kFirstStreamHandle, std::string(3 * kStreamQueueBytes, 'd')) +
           packet(2, PacketType::req, "second"));
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(raw.log, (std::vector<std::string>{"REQ first", "REQ second"}));
  EXPECT_EQ(raw.received(), wire::encode_frame(kFirstStreamHandle, "") + wire::encode_frame(1, ""));
}

TEST(MuxConnection, StreamsAndConversationsOfOneConnectionAreCounted) {
  Raw raw(End::responder);
  std::string bytes;
  for (uint32_t i = 1; i <= 2 * kMaxConversationsPerConnection; ++i) bytes += packet(i, PacketType::req, "");
  raw.send(bytes);
  ASSERT_TRUE(raw.loop.run_until_idle());
  EXPECT_EQ(raw.opened.size(), kMaxConversationsPerConnection);
  for (size_t i = 0; i < kMaxStreamsPerConnection; ++i) ASSERT_TRUE(offer_stream(*raw.opened[0]));
  EXPECT_EQ(offer_stream(*raw.opened[0]).error().kind(), ErrorKind::refused);
}

// ---- two ends ----

TEST(MuxConnection, AConversationsPacketsKeepTheirOrderBesideStreams) {
  SimLoop loop;
  auto connection =
      make_sim_connection(loop, {.largest_move_bytes = 7, .seed = 5}, {.largest_move_bytes = 11, .seed = 6});
  CopyingEnds ends(loop, std::move(connection.a), std::move(connection.b));
  auto stream = ends.open();
  Reader reader(*stream.near);
  Writer writer(loop, *stream.far, 20000, 'w');
  writer.go_on();
  std::vector<std::string> got;
  ends.ours->on_packet([&](Result<wire::Packet> packet) {
    ASSERT_TRUE(packet);
    got.push_back(packet->body);
  });
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i) {
    sent.push_back(fmt::format("part {}", i));
    ASSERT_TRUE(ends.theirs->send({PacketType::prep, sent.back()}));
  }
  ASSERT_TRUE(loop.run_until_idle());
  EXPECT_EQ(got, sent);
  EXPECT_EQ(reader.text, pattern(20000, 'w'));
}

TEST(MuxConnection, AStreamOutlivesItsConversation) {
  SimLoop loop;
  auto connection = make_sim_connection(loop, {}, {});
  CopyingEnds ends(loop, std::move(connection.a), std::move(connection.b));
  auto stream = ends.open();
  ends.ours.reset();
  ends.theirs.reset();
  ends.initiator.reset();
  ends.responder.reset();
  Reader reader(*stream.near);
  Writer writer(loop, *stream.far, 500000, 'w');
  writer.go_on();
  ASSERT_TRUE(loop.run_until_idle());
  EXPECT_TRUE(writer.finished);
  EXPECT_EQ(reader.text, pattern(500000, 'w'));
  stream.far.reset();
  stream.near.reset();
  ASSERT_TRUE(loop.run_until_idle());
}

TEST(MuxConnection, ARefusalReachesTheFirstConversation) {
  SimLoop loop;
  auto connection = make_sim_connection(loop);
  const auto near =
      make_mux(loop, std::make_unique<CopyingTransport>(std::move(connection.a)), End::initiator);
  const auto far =
      make_mux(loop, std::make_unique<CopyingTransport>(std::move(connection.b)), End::responder);
  const auto talk = near->begin();
  std::optional<Result<wire::Packet>> got;
  talk->on_packet([&](Result<wire::Packet> packet) { got = std::move(packet); });
  far->send_refusal("host does not resolve");
  ASSERT_TRUE(loop.run_until_idle());
  ASSERT_TRUE(got && *got);
  EXPECT_EQ((*got)->type, PacketType::nak);
  EXPECT_EQ((*got)->body, "host does not resolve");
}

}  // namespace
}  // namespace headrace::auth
