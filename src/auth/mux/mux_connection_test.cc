// Framed connections against peers that say anything, in any pieces, and against readers that stop.
#include "auth/mux/mux_connection.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "auth/mux/mux_test_ends.h"
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

// Reads a stream all the time, or when told, and remembers.
class Reader {
 public:
  explicit Reader(loop::Readable& from, bool reading = true) : from_(from) {
    if (reading) go_on();
  }
  void go_on() {
    while (true) {
      const auto got = from_.read(buffer_);
      state = got.state;
      if (got.state == IoState::wait) return from_.await_readable([this] { go_on(); });
      if (got.state != IoState::moved) return;
      text += base::as_text(std::span(buffer_).first(got.bytes));
    }
  }
  std::string text;
  IoState state = IoState::wait;

 private:
  loop::Readable& from_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(50000);
};

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
  raw.send(packet(4, PacketType::req, std::string(wire::kMaxFrameBytes - 2, 'q')));
  ASSERT_TRUE(raw.loop.run_until_idle());
  ASSERT_EQ(raw.log.size(), 1U);
  EXPECT_EQ(raw.log[0].size(), 4 + wire::kMaxFrameBytes - 2);
  const auto sent = raw.opened[0]->send({PacketType::rep, std::string(wire::kMaxFrameBytes, 'r')});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind(), ErrorKind::unsupported);
  EXPECT_TRUE(raw.opened[0]->send({PacketType::rep, "short"}));
  EXPECT_EQ(raw.received(), packet(4, PacketType::rep, "short"));
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
  EXPECT_EQ(raw.log, (std::vector<std::string>{"REQ first", "the peer closed the connection"}));
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

class TwoEnds {
 public:
  TwoEnds(SimLinkOptions there, SimLinkOptions back)
      : TwoEnds(make_sim_connection(loop, std::move(there), std::move(back))) {}
  SimLoop loop;
  std::shared_ptr<sim::SimLink> there;
  std::shared_ptr<sim::SimLink> back;
  MuxEnds ends;

 private:
  explicit TwoEnds(sim::SimConnection connection)
      : there(connection.a_to_b),
        back(connection.b_to_a),
        ends(loop, std::make_unique<CopyingTransport>(std::move(connection.a)),
             std::make_unique<CopyingTransport>(std::move(connection.b))) {}
};

// Writes a text in pieces drawn from a seed, or as much as it can for ever.
class Writer {
 public:
  Writer(SimLoop& loop, loop::Writable& to, size_t total, char first)
      : loop_(loop), to_(to), left_(total), next_(first) {}
  void go_on() {
    while (left_ > 0) {
      if (block_.empty()) {
        block_.resize(std::min<size_t>(left_, 60000));
        for (char& c : block_) c = next_++;
      }
      const iovec piece{block_.data(), block_.size()};
      const auto put = to_.write({&piece, 1});
      // As a pump does: what follows a wake comes in a turn of its own.
      if (put.state == IoState::wait) return to_.await_writable([this] { loop_.post([this] { go_on(); }); });
      ASSERT_EQ(put.state, IoState::moved);
      block_.erase(0, put.bytes);
      left_ -= put.bytes;
      written += put.bytes;
    }
    to_.finish([this](const Result<>& outcome) { finished = outcome.has_value(); });
  }
  size_t written = 0;
  bool finished = false;

 private:
  SimLoop& loop_;
  loop::Writable& to_;
  size_t left_;
  char next_;
  std::string block_;
};

std::string pattern(size_t total, char first) {
  std::string text(total, '\0');
  for (char& c : text) c = first++;
  return text;
}

// The invariant of mux_connection.h: as long as each consumer drains by itself, all arrives, whichever of
// them stops for how long, and no queue exceeds its bound.
TEST(MuxConnection, StopsOfOneReaderDelayButNeverDeadlock) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    sim::Random random(seed);
    const auto options = [&](uint64_t salt) {
      return SimLinkOptions{.capacity_bytes = random.between(100, 100000),
                            .latency = milliseconds(random.below(30)),
                            .largest_move_bytes = random.one_in(2) ? 0 : random.between(2000, 40000),
                            .false_wait_one_in = static_cast<unsigned>(random.below(2) * 4),
                            .seed = seed * 2 + salt};
    };
    TwoEnds two(options(0), options(1));
    constexpr size_t kStreams = 3;
    const std::array<size_t, kStreams> totals{random.between(300000, 900000), random.between(0, 3000),
                                              random.between(0, 600000)};
    std::vector<MuxEnds::Stream> streams;
    std::vector<std::unique_ptr<Writer>> writers;
    std::vector<std::unique_ptr<Reader>> readers;
    std::vector<std::unique_ptr<loop::Timer>> timers;
    for (size_t i = 0; i < kStreams; ++i) {
      streams.push_back(two.ends.open());
      writers.push_back(
          std::make_unique<Writer>(two.loop, *streams[i].far, totals[i], static_cast<char>('a' + i)));
      // Each comes to read at its own time: another's data may stand before its own until then.
      readers.push_back(std::make_unique<Reader>(*streams[i].near, false));
    }
    for (size_t i = 0; i < kStreams; ++i) {
      writers[i]->go_on();
      timers.push_back(
          two.loop.after(milliseconds(random.below(20000)), [&readers, i] { readers[i]->go_on(); }));
    }
    ASSERT_TRUE(two.loop.run_until_idle());
    for (size_t i = 0; i < kStreams; ++i) {
      ASSERT_EQ(readers[i]->state, IoState::end) << "seed " << seed << " stream " << i;
      ASSERT_TRUE(readers[i]->text == pattern(totals[i], static_cast<char>('a' + i))) << "seed " << seed;
      ASSERT_TRUE(writers[i]->finished);
    }
  }
}

TEST(MuxConnection, AStoppedReaderLetsTheOthersThroughUpToItsQueue) {
  for (const bool data_stops : {true, false}) {
    TwoEnds two({}, {});
    auto data = two.ends.open();
    auto index = two.ends.open();
    auto& stopped = data_stops ? data : index;
    auto& running = data_stops ? index : data;
    Writer little(two.loop, *stopped.far, kStreamQueueBytes - 1000, 's');
    Writer much(two.loop, *running.far, 5'000'000, 'r');
    Reader reader(*running.near);
    little.go_on();
    much.go_on();
    ASSERT_TRUE(two.loop.run_until_idle());
    EXPECT_EQ(reader.text.size(), 5'000'000U);
    EXPECT_EQ(reader.state, IoState::end);
  }
}

TEST(MuxConnection, WritersShareTheConnection) {
  TwoEnds two({}, {.bytes_per_second = 10'000'000});
  std::vector<MuxEnds::Stream> streams;
  std::vector<std::unique_ptr<Writer>> writers;
  std::vector<std::unique_ptr<Reader>> readers;
  for (size_t i = 0; i < 4; ++i) {
    streams.push_back(two.ends.open());
    writers.push_back(std::make_unique<Writer>(two.loop, *streams[i].far, size_t{1} << 30U, 'a'));
    readers.push_back(std::make_unique<Reader>(*streams[i].near));
    writers[i]->go_on();
  }
  two.loop.advance(milliseconds(500));
  size_t least = writers[0]->written;
  size_t most = least;
  for (const auto& writer : writers) {
    least = std::min(least, writer->written);
    most = std::max(most, writer->written);
  }
  EXPECT_GT(most, 1'000'000U);
  EXPECT_LT(most, 2 * least);
}

TEST(MuxConnection, AConversationsPacketsKeepTheirOrderBesideStreams) {
  TwoEnds two({.largest_move_bytes = 7, .seed = 5}, {.largest_move_bytes = 11, .seed = 6});
  auto stream = two.ends.open();
  Reader reader(*stream.near);
  Writer writer(two.loop, *stream.far, 20000, 'w');
  writer.go_on();
  std::vector<std::string> got;
  two.ends.ours->on_packet([&](Result<wire::Packet> packet) {
    ASSERT_TRUE(packet);
    got.push_back(packet->body);
  });
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i) {
    sent.push_back(fmt::format("part {}", i));
    ASSERT_TRUE(two.ends.theirs->send({PacketType::prep, sent.back()}));
  }
  ASSERT_TRUE(two.loop.run_until_idle());
  EXPECT_EQ(got, sent);
  EXPECT_EQ(reader.text, pattern(20000, 'w'));
}

TEST(MuxConnection, AStreamOutlivesItsConversation) {
  TwoEnds two({}, {});
  auto stream = two.ends.open();
  two.ends.ours.reset();
  two.ends.theirs.reset();
  two.ends.initiator.reset();
  two.ends.responder.reset();
  Reader reader(*stream.near);
  Writer writer(two.loop, *stream.far, 500000, 'w');
  writer.go_on();
  ASSERT_TRUE(two.loop.run_until_idle());
  EXPECT_TRUE(writer.finished);
  EXPECT_EQ(reader.text, pattern(500000, 'w'));
  stream.far.reset();
  stream.near.reset();
  ASSERT_TRUE(two.loop.run_until_idle());
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
