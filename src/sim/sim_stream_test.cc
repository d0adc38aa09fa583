#include "sim/sim_stream.h"

#include "loop/stream_contract.h"

// The contract suite looks its instances up by the test's own name.
namespace headrace::loop {
namespace {

using sim::SimLinkOptions;
using sim::SimLoop;

class SimPipePair : public StreamPair {
 public:
  explicit SimPipePair(SimLinkOptions options) : pipe_(make_sim_pipe(loop_, std::move(options))) {}
  Loop& loop() override { return loop_; }
  Writable& writer() override { return *pipe_.writer; }
  Readable& reader() override { return *pipe_.reader; }
  void drop_writer() override { pipe_.writer.reset(); }
  void drop_reader() override { pipe_.reader.reset(); }

 private:
  SimLoop loop_;
  sim::SimPipe pipe_;
};

class SimConnectionPair : public StreamPair {
 public:
  explicit SimConnectionPair(SimLinkOptions options)
      : connection_(make_sim_connection(loop_, std::move(options))) {}
  Loop& loop() override { return loop_; }
  Writable& writer() override { return *connection_.a; }
  Readable& reader() override { return *connection_.b; }
  void drop_writer() override { connection_.a.reset(); }
  void drop_reader() override { connection_.b.reset(); }

 private:
  SimLoop loop_;
  sim::SimConnection connection_;
};

StreamCase pipe_case(std::string name, SimLinkOptions options) {
  return {std::move(name), [options] { return std::make_unique<SimPipePair>(options); }};
}

INSTANTIATE_TEST_SUITE_P(
    Sim, StreamContract,
    ::testing::Values(
        pipe_case("pipe", {}),
        StreamCase{"connection", [] { return std::make_unique<SimConnectionPair>(SimLinkOptions{}); }},
        pipe_case("delayed", {.latency = std::chrono::milliseconds(20)}),
        pipe_case("throttled", {.bytes_per_second = 10'000'000}), pipe_case("tiny", {.capacity_bytes = 97}),
        pipe_case("split", {.largest_move_bytes = 5000, .seed = 11}),
        pipe_case("hesitant", {.largest_move_bytes = 9000, .false_wait_one_in = 3, .seed = 12})),
    name_of_case);

}  // namespace
}  // namespace headrace::loop

namespace headrace::sim {
namespace {

using loop::IoResult;
using loop::IoState;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SimStreamTest : public ::testing::Test {
 protected:
  IoResult write(loop::Writable& to, std::string text) {
    const iovec piece{text.data(), text.size()};
    return to.write(std::span(&piece, 1));
  }
  IoResult read(loop::Readable& from) { return from.read(buffer_); }
  std::string text_of(const IoResult& result) const {
    return std::string(base::as_text(std::span(buffer_).first(result.bytes)));
  }

  SimLoop loop_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(100000);
};

TEST_F(SimStreamTest, BytesArriveAfterTheLatency) {
  const auto pipe = make_sim_pipe(loop_, {.latency = milliseconds(30)});
  EXPECT_EQ(write(*pipe.writer, "hello").bytes, 5U);
  base::Instant heard{};
  EXPECT_EQ(read(*pipe.reader).state, IoState::wait);
  pipe.reader->await_readable([&] { heard = loop_.clock().now(); });
  loop_.run_until_idle();
  EXPECT_EQ(heard.time_since_epoch(), milliseconds(30));
  EXPECT_EQ(text_of(read(*pipe.reader)), "hello");
}

TEST_F(SimStreamTest, TheRateBoundsWhatArrives) {
  const auto pipe = make_sim_pipe(loop_, {.bytes_per_second = 1000});
  EXPECT_EQ(write(*pipe.writer, std::string(500, 'a')).bytes, 500U);
  EXPECT_EQ(write(*pipe.writer, std::string(500, 'b')).bytes, 500U);
  EXPECT_EQ(read(*pipe.reader).state, IoState::wait);
  loop_.advance(milliseconds(500));
  EXPECT_EQ(read(*pipe.reader).bytes, 500U);
  EXPECT_EQ(read(*pipe.reader).state, IoState::wait);
  loop_.advance(milliseconds(500));
  EXPECT_EQ(read(*pipe.reader).bytes, 500U);
}

TEST_F(SimStreamTest, AReaderThatDoesNotReadStopsTheWriter) {
  const auto pipe = make_sim_pipe(loop_, {.capacity_bytes = 10});
  pipe.link->stop_reading();
  EXPECT_EQ(write(*pipe.writer, "0123456789abc").bytes, 10U);
  static char more[] = "abc";
  const iovec piece{more, 3};
  EXPECT_EQ(pipe.writer->write(std::span(&piece, 1)).state, IoState::wait);
  bool writable = false;
  pipe.writer->await_writable([&] { writable = true; });
  EXPECT_EQ(read(*pipe.reader).state, IoState::wait);
  bool readable = false;
  pipe.reader->await_readable([&] { readable = true; });
  loop_.run_until_idle();
  EXPECT_FALSE(readable);
  pipe.link->resume_reading();
  loop_.run_until_idle();
  EXPECT_TRUE(readable);
  EXPECT_FALSE(writable);
  EXPECT_EQ(read(*pipe.reader).bytes, 10U);
  loop_.run_until_idle();
  EXPECT_TRUE(writable);
  EXPECT_EQ(pipe.writer->write(std::span(&piece, 1)).bytes, 3U);
  EXPECT_EQ(pipe.link->bytes_written(), 13U);
  EXPECT_EQ(pipe.link->bytes_read(), 10U);
}

TEST_F(SimStreamTest, ASilentPeerSaysNothingUntilItSpeaksAgain) {
  auto pipe = make_sim_pipe(loop_, {.latency = milliseconds(1)});
  EXPECT_EQ(write(*pipe.writer, "before").bytes, 6U);
  loop_.advance(milliseconds(1));
  EXPECT_EQ(write(*pipe.writer, "lost").bytes, 4U);
  pipe.link->go_silent();
  EXPECT_EQ(text_of(read(*pipe.reader)), "before");
  bool finished = false;
  bool heard = false;
  EXPECT_EQ(read(*pipe.reader).state, IoState::wait);
  pipe.reader->await_readable([&] { heard = true; });
  pipe.writer->finish([&](base::Result<> outcome) { finished = outcome.has_value(); });
  EXPECT_TRUE(loop_.run_until_idle());
  EXPECT_FALSE(heard);
  EXPECT_FALSE(finished);
  pipe.link->speak_again();
  EXPECT_TRUE(loop_.run_until_idle());
  EXPECT_TRUE(heard);
  EXPECT_TRUE(finished);
  EXPECT_EQ(text_of(read(*pipe.reader)), "lost");
  EXPECT_EQ(read(*pipe.reader).state, IoState::end);
}

TEST_F(SimStreamTest, AResetReachesBothEndsInBothDirections) {
  const auto connection = make_sim_connection(loop_, {.name = "client alpha"});
  EXPECT_EQ(write(*connection.a, "never read").bytes, 10U);
  bool heard = false;
  EXPECT_EQ(read(*connection.a).state, IoState::wait);
  connection.a->await_readable([&] { heard = true; });
  connection.a_to_b->reset();
  loop_.run_until_idle();
  EXPECT_TRUE(heard);
  EXPECT_EQ(read(*connection.a).state, IoState::failed);
  EXPECT_EQ(read(*connection.b).state, IoState::failed);
  EXPECT_EQ(connection.b->error().kind(), base::ErrorKind::gone);
  EXPECT_EQ(connection.b->error().what(), "read from client alpha: connection reset by peer");
  EXPECT_EQ(write(*connection.b, "x").state, IoState::failed);
}

TEST_F(SimStreamTest, AResetComesAfterSoManyBytes) {
  const auto pipe = make_sim_pipe(loop_, {.reset_after_bytes = 5});
  EXPECT_EQ(write(*pipe.writer, "0123456789").bytes, 10U);
  EXPECT_EQ(text_of(read(*pipe.reader)), "01234");
  EXPECT_EQ(read(*pipe.reader).state, IoState::failed);
  base::Result<> outcome;
  pipe.writer->finish([&](base::Result<> how) { outcome = std::move(how); });
  loop_.run_until_idle();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), base::ErrorKind::gone);
}

TEST_F(SimStreamTest, AnEndOfAConnectionGoesOnReadingAfterItFinished) {
  const auto connection = make_sim_connection(loop_);
  connection.a->finish([](base::Result<>) {});
  loop_.run_until_idle();
  EXPECT_EQ(read(*connection.b).state, IoState::end);
  EXPECT_EQ(write(*connection.b, "reply").bytes, 5U);
  EXPECT_EQ(text_of(read(*connection.a)), "reply");
  connection.a->close_read();
  EXPECT_EQ(write(*connection.b, "nobody").state, IoState::failed);
}

TEST_F(SimStreamTest, OfferingOtherMemoryAfterWaitEndsTheProgram) {
  const auto pipe = make_sim_pipe(loop_);
  std::byte one[8];
  std::byte other[8];
  EXPECT_EQ(pipe.reader->read(one).state, IoState::wait);
  EXPECT_EQ(pipe.reader->read(one).state, IoState::wait);
  EXPECT_DEATH((void)pipe.reader->read(other), "broken invariant");
}

TEST_F(SimStreamTest, OneSeedGivesOneCourse) {
  const auto course = [](uint64_t seed) {
    SimLoop loop;
    const auto pipe = make_sim_pipe(loop, {.largest_move_bytes = 100, .false_wait_one_in = 4, .seed = seed});
    loop::ContractWriter writer(*pipe.writer, std::string(20000, 'x'), 1);
    loop::ContractReader reader(*pipe.reader, 2);
    writer.start([](base::Result<>) {});
    reader.start([] {});
    loop.run();
    EXPECT_EQ(reader.text().size(), 20000U);
    return loop.events_run();
  };
  EXPECT_EQ(course(1), course(1));
  EXPECT_NE(course(1), course(2));
}

TEST(Random, StaysInItsBounds) {
  Random random(1);
  Random same(1);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t drawn = random.between(3, 5);
    EXPECT_TRUE(drawn >= 3 && drawn <= 5);
    EXPECT_EQ(drawn, same.between(3, 5));
  }
  EXPECT_FALSE(random.one_in(0));
  EXPECT_TRUE(random.one_in(1));
}

}  // namespace
}  // namespace headrace::sim
