// A flow that rewrites, with one and two sinks; then the meter and the gate by themselves.
#include "flow/transform_pump.h"

#include <gtest/gtest.h>

#include <optional>

#include "sim/sim_stream.h"

namespace headrace::flow {
namespace {

using base::ErrorKind;
using base::Result;
using loop::IoState;
using sim::SimLoop;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Doubles each byte for the first output, and gives every tenth to the second.
class Doubling : public Transform {
 public:
  void feed(base::Bytes input, std::string& first, std::string& second) override {
    for (const char c : base::as_text(input)) {
      first += c;
      first += c;
      if (fed_++ % 10 == 0) second += c;
    }
  }
  void end(std::string& first, std::string& second) override {
    first += "end1";
    second += "end2";
  }

 private:
  uint64_t fed_ = 0;
};

class TransformPumpTest : public ::testing::Test {
 protected:
  void start(size_t size, bool two, sim::SimLinkOptions in = {}) {
    in_ = make_sim_pipe(loop_, std::move(in));
    text_.resize(size);
    for (size_t i = 0; i < size; ++i) text_[i] = static_cast<char>('a' + i % 23);
    pump_ = std::make_unique<TransformPump>(loop_, *in_.reader, transform_, *first_.writer,
                                            two ? second_.writer.get() : nullptr);
    pump_->start([this](Result<> outcome) {
      EXPECT_FALSE(outcome_);
      outcome_ = std::move(outcome);
    });
    feed();
  }
  void feed() {
    while (fed_ < text_.size()) {
      const iovec piece{text_.data() + fed_, text_.size() - fed_};
      const auto put = in_.writer->write({&piece, 1});
      if (put.state == IoState::wait) return in_.writer->await_writable([this] { feed(); });
      if (put.state != IoState::moved) return;
      fed_ += put.bytes;
    }
    in_.writer->finish([](const Result<>&) {});
  }
  // Reads it as long as there is something to come; gives it all at the end.
  void drain(loop::Readable& from, std::string& into, IoState& state) {
    while (true) {
      const auto got = from.read(buffer(from));
      state = got.state;
      if (got.state == IoState::wait) return from.await_readable([&] { drain(from, into, state); });
      if (got.state != IoState::moved) return;
      into += base::as_text(buffer(from).first(got.bytes));
    }
  }
  base::MutableBytes buffer(const loop::Readable& of) {
    return &of == first_.reader.get() ? base::MutableBytes(buffers_).first(30000)
                                      : base::MutableBytes(buffers_).subspan(30000);
  }
  std::string doubled() const {
    std::string text;
    for (const char c : text_) text += std::string(2, c);
    return text + "end1";
  }
  std::string tenths() const {
    std::string text;
    for (size_t i = 0; i < text_.size(); i += 10) text += text_[i];
    return text + "end2";
  }

  SimLoop loop_;
  sim::SimPipe in_;
  sim::SimPipe first_ = make_sim_pipe(loop_, {.largest_move_bytes = 20000});
  sim::SimPipe second_ = make_sim_pipe(loop_, {.capacity_bytes = 500});
  std::vector<std::byte> buffers_ = std::vector<std::byte>(60000);
  std::string text_;
  size_t fed_ = 0;
  Doubling transform_;
  std::unique_ptr<TransformPump> pump_;
  std::optional<Result<>> outcome_;
  std::string got_first_;
  std::string got_second_;
  IoState first_state_ = IoState::wait;
  IoState second_state_ = IoState::wait;
};

TEST_F(TransformPumpTest, FeedsOneSinkOrTwo) {
  start(3'000'000, true, {.largest_move_bytes = 9000, .false_wait_one_in = 3});
  drain(*first_.reader, got_first_, first_state_);
  drain(*second_.reader, got_second_, second_state_);
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(outcome_ && *outcome_);
  EXPECT_TRUE(got_first_ == doubled());
  EXPECT_TRUE(got_second_ == tenths());
  EXPECT_EQ(pump_->bytes_in(), text_.size());
}

TEST_F(TransformPumpTest, NeedsNoSecondSink) {
  start(200'000, false);
  drain(*first_.reader, got_first_, first_state_);
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(outcome_ && *outcome_);
  EXPECT_TRUE(got_first_ == doubled());
}

TEST_F(TransformPumpTest, AFullSinkStopsTheSource) {
  start(3'000'000, true);
  drain(*second_.reader, got_second_, second_state_);
  ASSERT_TRUE(loop_.run_until_idle());
  EXPECT_FALSE(outcome_);
  // The bound, one read beyond it doubled, and what the sink itself holds.
  EXPECT_LE(2 * pump_->bytes_in(), kTransformBudgetBytes + 2 * (kQuantumBytes / 4) + 2 * 65536);
  drain(*first_.reader, got_first_, first_state_);
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(outcome_ && *outcome_);
  EXPECT_TRUE(got_first_ == doubled());
}

TEST_F(TransformPumpTest, ASinkThatBreaksWhileFullDoesNotStallTheSource) {
  start(3'000'000, true);
  drain(*second_.reader, got_second_, second_state_);
  ASSERT_TRUE(loop_.run_until_idle());
  EXPECT_LT(pump_->bytes_in(), text_.size());
  first_.reader.reset();
  ASSERT_TRUE(loop_.run_until_idle());
  EXPECT_EQ(pump_->bytes_in(), text_.size());
  EXPECT_TRUE(got_second_ == tenths());
  EXPECT_EQ(second_state_, IoState::end);
  ASSERT_TRUE(outcome_ && !*outcome_);
  EXPECT_EQ(outcome_->error().kind(), ErrorKind::gone);
}

TEST_F(TransformPumpTest, BothSinksMayBreak) {
  first_.reader.reset();
  second_.reader.reset();
  start(1'000'000, true);
  ASSERT_TRUE(loop_.run_until_idle());
  EXPECT_EQ(pump_->bytes_in(), text_.size());
  ASSERT_TRUE(outcome_ && !*outcome_);
}

TEST_F(TransformPumpTest, AFailedSourceFinishesNothing) {
  start(1'000'000, true, {.name = "names", .reset_after_bytes = 300'000});
  drain(*first_.reader, got_first_, first_state_);
  drain(*second_.reader, got_second_, second_state_);
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(outcome_ && !*outcome_);
  EXPECT_EQ(outcome_->error().what(), "read from names: connection reset by peer");
  EXPECT_FALSE(got_first_.ends_with("end1"));
  EXPECT_FALSE(got_second_.ends_with("end2"));
}

TEST_F(TransformPumpTest, DestroyingItCancelsSilently) {
  start(1'000'000, true);
  loop_.run_due();
  pump_.reset();
  drain(*first_.reader, got_first_, first_state_);
  drain(*second_.reader, got_second_, second_state_);
  ASSERT_TRUE(loop_.run_until_idle());
  EXPECT_FALSE(outcome_);
  EXPECT_EQ(first_state_, IoState::end);
  EXPECT_EQ(second_state_, IoState::end);
  EXPECT_LT(fed_, text_.size());
}

TEST(Meter, BooksTimeToTheStateItWasSpentIn) {
  SimLoop loop;
  Meter meter(loop.clock());
  loop.advance(seconds(1));
  meter.enter(FlowState::moving);
  loop.advance(seconds(2));
  meter.count(10);
  meter.enter(FlowState::starved);
  loop.advance(seconds(4));
  meter.enter(FlowState::starved);
  loop.advance(seconds(8));
  EXPECT_EQ(meter.snapshot().starved, seconds(12)) << "the state under way counts";
  meter.enter(FlowState::blocked);
  loop.advance(seconds(16));
  meter.enter(FlowState::gated);
  loop.advance(seconds(32));
  loop.step_wall_clock(-86400);
  meter.enter(FlowState::ended);
  loop.advance(seconds(64));
  meter.count(5);
  const MeterSnapshot last = meter.snapshot();
  EXPECT_EQ(last.bytes, 15U);
  EXPECT_EQ(last.starved, seconds(12));
  EXPECT_EQ(last.blocked, seconds(16));
  EXPECT_EQ(last.gated, seconds(32));
  EXPECT_EQ(meter.state(), FlowState::ended);
}

TEST(Gate, WakesEachWaitingFlowOnce) {
  Gate gate;
  EXPECT_TRUE(gate.open());
  gate.close();
  std::string woken;
  gate.await_open([&] {
    woken += 'a';
    gate.close();
    gate.await_open([&] { woken += 'c'; });
  });
  gate.await_open([&] { woken += 'b'; });
  gate.reopen();
  EXPECT_EQ(woken, "ab") << "who waits again waits for the next time";
  EXPECT_FALSE(gate.open());
  gate.reopen();
  gate.reopen();
  EXPECT_EQ(woken, "abc");
}

}  // namespace
}  // namespace headrace::flow
