// One contract for the pump, on both of its ways and over real and simulated streams; then what only virtual
// time shows: the budget, several pumps on one loop. Fairness: fairness_test.cc.
#include "flow/pump.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

#include "base/fd.h"
#include "flow/crc_tap.h"
#include "loop/fd_stream.h"
#include "loop/test_loop.h"
#include "sim/sim_stream.h"

namespace headrace::flow {
namespace {

using base::ErrorKind;
using base::Result;
using loop::FdKind;
using loop::IoState;
using sim::SimLoop;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct StreamEnds {
  std::unique_ptr<loop::Writable> writer;
  std::unique_ptr<loop::Readable> reader;
};

struct Way {
  std::string name;
  bool allow_splice;
  bool splices;
  std::function<std::unique_ptr<loop::Loop>()> make_loop;
  std::function<StreamEnds(loop::Loop&)> make_in;
  std::function<StreamEnds(loop::Loop&)> make_out;
};

void PrintTo(const Way& way, std::ostream* to) { *to << way.name; }

StreamEnds fd_ends(loop::Loop& loop, int from, int to, FdKind kind) {
  auto reader = loop::make_fd_stream(loop, base::Fd(from), kind);
  auto writer = loop::make_fd_stream(loop, base::Fd(to), kind);
  EXPECT_TRUE(reader && writer);
  return {std::move(*writer), std::move(*reader)};
}
StreamEnds pipe_ends(loop::Loop& loop) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return fd_ends(loop, ends[0], ends[1], FdKind::pipe);
}
StreamEnds socket_ends(loop::Loop& loop) {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return fd_ends(loop, ends[0], ends[1], FdKind::socket);
}
std::function<StreamEnds(loop::Loop&)> sim_ends(sim::SimLinkOptions options) {
  return [options](loop::Loop& loop) {
    auto pipe = make_sim_pipe(dynamic_cast<SimLoop&>(loop), options);
    return StreamEnds{std::move(pipe.writer), std::move(pipe.reader)};
  };
}
std::unique_ptr<loop::Loop> real_loop() { return loop::make_loop(1); }
std::unique_ptr<loop::Loop> sim_loop() { return std::make_unique<SimLoop>(); }

// Feeds a text into a stream, as room comes; then ends it when told to.
class Feeder {
 public:
  Feeder(loop::Writable& to, std::string text, bool end) : to_(to), text_(std::move(text)), end_(end) {}
  void go_on() {
    while (at_ < text_.size()) {
      const iovec piece{text_.data() + at_, std::min<size_t>(text_.size() - at_, 100000)};
      const auto put = to_.write({&piece, 1});
      if (put.state == IoState::wait) return to_.await_writable([this] { go_on(); });
      if (put.state != IoState::moved) {
        failed_ = true;
        return;
      }
      at_ += put.bytes;
    }
    if (end_) to_.finish([](const Result<>&) {});
  }
  // Once all of `text` before is written.
  void more(std::string text, bool end) {
    ASSERT_EQ(at_, text_.size());
    text_ = std::move(text);
    at_ = 0;
    end_ = end;
    go_on();
  }
  size_t written() const { return at_; }
  bool failed() const { return failed_; }

 private:
  loop::Writable& to_;
  std::string text_;
  bool end_;
  size_t at_ = 0;
  bool failed_ = false;
};

class Collector {
 public:
  explicit Collector(loop::Readable& from) : from_(from) {}
  void go_on() {
    while (true) {
      const auto got = from_.read(buffer_);
      state = got.state;
      if (got.state == IoState::wait) return from_.await_readable([this] { go_on(); });
      if (got.state != IoState::moved) return ended();
      text += base::as_text(std::span(buffer_).first(got.bytes));
      if (text.size() >= enough) std::exchange(at_enough, nullptr)();
    }
  }
  std::string text;
  IoState state = IoState::wait;
  size_t enough = SIZE_MAX;
  loop::Callback at_enough;
  loop::Callback ended = [] {};

 private:
  loop::Readable& from_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(70000);
};

std::string noise(size_t size) {
  sim::Random random(815);
  std::string text(size, '\0');
  for (size_t at = 0; at + 8 <= size; at += 8) {
    const uint64_t drawn = random.next();
    std::memcpy(text.data() + at, &drawn, 8);
  }
  return text;
}

class PumpContract : public ::testing::TestWithParam<Way> {
 protected:
  PumpOptions options() const {
    PumpOptions options;
    options.allow_splice = GetParam().allow_splice;
    return options;
  }
  void make_pump(PumpOptions with) {
    pump_ = std::make_unique<Pump>(*loop_, *in_.reader, *out_.writer, with);
  }
  void start() {
    pump_->start([this](Result<> outcome) {
      EXPECT_FALSE(inside_);
      EXPECT_FALSE(outcome_) << "told twice";
      outcome_ = std::move(outcome);
      stop_when(2);
    });
    inside_ = false;
  }
  void stop_when(int parts) {
    if (++ended_ == parts) loop_->stop();
  }
  void run_on(int turns = 50) {
    loop::turn_loop(*loop_, turns, [this] { loop_->stop(); });
    loop_->run();
  }
  // The source is not read any more, and the sink was given up: its reader comes to an end.
  void expect_both_given_up() {
    std::byte byte;
    EXPECT_EQ(in_.reader->read({&byte, 1}).state, IoState::failed);
    // A socket's peer hears of it when the stream is destroyed.
    if (out_.reader == nullptr || GetParam().name.ends_with("to_socket")) return;
    Collector collector(*out_.reader);
    collector.ended = [this] { loop_->stop(); };
    collector.go_on();
    if (collector.state != IoState::end) loop_->run();
    EXPECT_EQ(collector.state, IoState::end);
  }

  std::unique_ptr<loop::Loop> loop_ = GetParam().make_loop();
  std::unique_ptr<loop::Timer> deadline_ = loop::end_test_after_deadline(*loop_);
  StreamEnds in_ = GetParam().make_in(*loop_);
  StreamEnds out_ = GetParam().make_out(*loop_);
  std::unique_ptr<Pump> pump_;
  std::optional<Result<>> outcome_;
  int ended_ = 0;
  bool inside_ = true;
};

TEST_P(PumpContract, MovesEveryByteInOrder) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{3'000'001}}) {
    in_ = GetParam().make_in(*loop_);
    out_ = GetParam().make_out(*loop_);
    outcome_.reset();
    ended_ = 0;
    inside_ = true;
    const std::string text = noise(size);
    make_pump(options());
    Feeder feeder(*in_.writer, text, true);
    Collector collector(*out_.reader);
    collector.ended = [this] { stop_when(2); };
    start();
    feeder.go_on();
    collector.go_on();
    EXPECT_EQ(pump_->spliced(), GetParam().splices);
    loop_->run();
    ASSERT_TRUE(outcome_ && *outcome_);
    EXPECT_TRUE(collector.text == text) << collector.text.size() << " of " << size;
    EXPECT_EQ(collector.state, IoState::end);
    EXPECT_EQ(pump_->meter().snapshot().bytes, size);
    EXPECT_EQ(pump_->meter().state(), FlowState::ended);
  }
}

TEST_P(PumpContract, TapsSeeEveryByte) {
  const std::string text = noise(2'000'003);
  CrcTap tap;
  PumpOptions odd = options();
  odd.budget_bytes = 77'777;
  make_pump(odd);
  pump_->add_tap(tap);
  Feeder feeder(*in_.writer, text, true);
  Collector collector(*out_.reader);
  collector.ended = [this] { stop_when(2); };
  start();
  EXPECT_FALSE(pump_->spliced()) << "a tap has to see the bytes";
  feeder.go_on();
  collector.go_on();
  loop_->run();
  ASSERT_TRUE(outcome_ && *outcome_);
  EXPECT_TRUE(collector.text == text);
  base::Crc32c crc;
  crc.add(base::as_bytes(text));
  EXPECT_EQ(tap.value(), crc.value());
}

TEST_P(PumpContract, AClosedGateStopsReadingAndNothingIsLost) {
  const std::string first = noise(1000);
  const std::string second = noise(30'000);
  Gate gate;
  make_pump(options());
  pump_->set_gate(gate);
  Feeder feeder(*in_.writer, first, false);
  Collector collector(*out_.reader);
  collector.enough = first.size();
  collector.at_enough = [&] {
    collector.enough = SIZE_MAX;
    loop_->stop();
  };
  start();
  feeder.go_on();
  collector.go_on();
  loop_->run();
  run_on();  // until the pump waits for its source
  gate.close();
  feeder.more(second, true);
  run_on(200);
  EXPECT_EQ(collector.text, first) << "the gate is closed";
  EXPECT_EQ(pump_->meter().state(), FlowState::gated);
  collector.ended = [this] { stop_when(2); };
  gate.reopen();
  loop_->run();
  ASSERT_TRUE(outcome_ && *outcome_);
  EXPECT_TRUE(collector.text == first + second);
}

TEST_P(PumpContract, AThrottledFlowMovesEveryByte) {
  const std::string text = noise(300'000);
  Throttle throttle(*loop_, 2'000'000);
  make_pump(options());
  pump_->set_throttle(throttle);
  Feeder feeder(*in_.writer, text, true);
  Collector collector(*out_.reader);
  collector.ended = [this] { stop_when(2); };
  start();
  feeder.go_on();
  collector.go_on();
  loop_->run();
  ASSERT_TRUE(outcome_ && *outcome_);
  EXPECT_TRUE(collector.text == text);
  const MeterSnapshot meter = pump_->meter().snapshot();
  EXPECT_GT(meter.throttled, base::Duration{});
  EXPECT_EQ(meter.spliced, GetParam().allow_splice && GetParam().name.find("sim") == std::string::npos);
  pump_.reset();
}

TEST_P(PumpContract, AFailedSinkClosesTheSource) {
  make_pump(options());
  Feeder feeder(*in_.writer, noise(2'000'000), true);
  out_.reader.reset();
  ended_ = 1;
  start();
  feeder.go_on();
  loop_->run();
  ASSERT_TRUE(outcome_ && !*outcome_);
  EXPECT_EQ(outcome_->error().kind(), ErrorKind::gone) << outcome_->error().what();
  run_on();
  expect_both_given_up();
}

TEST_P(PumpContract, CancelEndsItWhereverItStands) {
  for (const int turns : {0, 1, 60}) {
    in_ = GetParam().make_in(*loop_);
    out_ = GetParam().make_out(*loop_);
    outcome_.reset();
    inside_ = true;
    make_pump(options());
    Feeder feeder(*in_.writer, noise(2'000'000), true);
    ended_ = 1;
    start();
    feeder.go_on();
    run_on(turns);
    inside_ = true;
    pump_->cancel();
    pump_->cancel();
    inside_ = false;
    loop_->run();
    ASSERT_TRUE(outcome_ && !*outcome_);
    EXPECT_EQ(outcome_->error().kind(), ErrorKind::cancelled);
    run_on();
    expect_both_given_up();
    pump_->cancel();
    run_on();
  }
}

TEST_P(PumpContract, AnUnfinishedSinkIsLeftToItsOwner) {
  PumpOptions open = options();
  open.finish_sink = false;
  make_pump(open);
  const std::string text = noise(10'000);
  Feeder feeder(*in_.writer, text, true);
  Collector collector(*out_.reader);
  ended_ = 1;
  start();
  feeder.go_on();
  loop_->run();
  ASSERT_TRUE(outcome_ && *outcome_);
  pump_.reset();
  Feeder owner(*out_.writer, "and the owner's word", true);
  owner.go_on();
  collector.ended = [this] { loop_->stop(); };
  collector.go_on();
  if (collector.state != IoState::end) loop_->run();
  EXPECT_EQ(collector.text, text + "and the owner's word");
}

TEST_P(PumpContract, MayBeDestroyedByItsOutcome) {
  make_pump(options());
  Feeder feeder(*in_.writer, "few", true);
  bool after = false;
  pump_->start([this, &after](const Result<>& outcome) {
    EXPECT_TRUE(outcome);
    pump_.reset();
    after = true;
    loop_->stop();
  });
  feeder.go_on();
  loop_->run();
  EXPECT_TRUE(after);
}

TEST_P(PumpContract, DestroyingItCancelsSilently) {
  make_pump(options());
  Feeder feeder(*in_.writer, noise(2'000'000), true);
  start();
  feeder.go_on();
  run_on(3);
  pump_.reset();
  run_on();
  EXPECT_FALSE(outcome_);
  expect_both_given_up();
}

INSTANTIATE_TEST_SUITE_P(
    Ways, PumpContract,
    ::testing::Values(Way{"splice_pipe_to_pipe", true, true, real_loop, pipe_ends, pipe_ends},
                      Way{"splice_pipe_to_socket", true, true, real_loop, pipe_ends, socket_ends},
                      Way{"splice_socket_to_pipe", true, true, real_loop, socket_ends, pipe_ends},
                      // No pipe at either end: the kernel refuses and the pump copies.
                      Way{"refused_socket_to_socket", true, true, real_loop, socket_ends, socket_ends},
                      Way{"copy_pipe_to_pipe", false, false, real_loop, pipe_ends, pipe_ends},
                      Way{"copy_pipe_to_socket", false, false, real_loop, pipe_ends, socket_ends},
                      Way{"copy_socket_to_socket", false, false, real_loop, socket_ends, socket_ends},
                      Way{"sim", true, false, sim_loop, sim_ends({}), sim_ends({})},
                      Way{"sim_slow_sink", true, false, sim_loop, sim_ends({}),
                          sim_ends({.latency = milliseconds(1), .bytes_per_second = 50'000'000})},
                      Way{"sim_hesitant", true, false, sim_loop,
                          sim_ends({.largest_move_bytes = 40'000, .false_wait_one_in = 4, .seed = 31}),
                          sim_ends({.largest_move_bytes = 30'000, .false_wait_one_in = 4, .seed = 32})}),
    [](const auto& info) { return info.param.name; });

// ---- on virtual time ----

class SimPump : public ::testing::Test {
 protected:
  struct Flow {
    Flow(SimLoop& loop, size_t size, sim::SimLinkOptions in_options, sim::SimLinkOptions out_options,
         PumpOptions pump_options = {})
        : in(make_sim_pipe(loop, std::move(in_options))),
          out(make_sim_pipe(loop, std::move(out_options))),
          feeder(*in.writer, noise(size), true),
          collector(*out.reader),
          pump(loop, *in.reader, *out.writer, pump_options) {}
    void start() {
      pump.start([this](Result<> how) { outcome = std::move(how); });
      feeder.go_on();
      collector.go_on();
    }
    uint64_t moved() const { return pump.meter().snapshot().bytes; }
    sim::SimPipe in;
    sim::SimPipe out;
    Feeder feeder;
    Collector collector;
    Pump pump;
    std::optional<Result<>> outcome;
  };
  SimLoop loop_;
};

TEST_F(SimPump, ReadsNoMoreThanItsBudgetAheadOfTheSink) {
  for (const size_t budget : {size_t{1}, size_t{1000}, size_t{100'000}, kDefaultBudgetBytes}) {
    PumpOptions options;
    options.budget_bytes = budget;
    Flow flow(loop_, 3'000'000, {}, {.capacity_bytes = 5000}, options);
    flow.out.link->stop_reading();
    flow.start();
    ASSERT_TRUE(loop_.run_until_idle());
    EXPECT_EQ(flow.out.link->bytes_written(), 5000U);
    EXPECT_EQ(flow.in.link->bytes_read(), 5000 + budget);
    EXPECT_EQ(flow.pump.meter().state(), FlowState::blocked);
    if (budget == 1) continue;
    flow.out.link->resume_reading();
    ASSERT_TRUE(loop_.run_until_idle());
    ASSERT_TRUE(flow.outcome && *flow.outcome);
    EXPECT_TRUE(flow.collector.text == noise(3'000'000));
  }
}

TEST_F(SimPump, AClosedGateLetsOutWhatWasReadAndReadsNothing) {
  Gate gate;
  Flow flow(loop_, 3'000'000, {}, {});
  flow.pump.set_gate(gate);
  flow.out.link->stop_reading();
  flow.start();
  ASSERT_TRUE(loop_.run_until_idle());
  gate.close();
  const uint64_t read = flow.in.link->bytes_read();
  flow.out.link->resume_reading();
  ASSERT_TRUE(loop_.run_until_idle());
  EXPECT_EQ(flow.in.link->bytes_read(), read);
  EXPECT_EQ(flow.out.link->bytes_read(), read);
  loop_.advance(seconds(7));
  EXPECT_GE(flow.pump.meter().snapshot().gated, seconds(7));
  gate.reopen();
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(flow.outcome && *flow.outcome);
  EXPECT_TRUE(flow.collector.text == noise(3'000'000));
}

TEST_F(SimPump, AFailedSourceAbandonsTheSink) {
  Flow flow(loop_, 3'000'000, {.name = "client alpha", .reset_after_bytes = 500'000}, {});
  flow.start();
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(flow.outcome && !*flow.outcome);
  EXPECT_EQ(flow.outcome->error().kind(), ErrorKind::gone);
  EXPECT_EQ(flow.outcome->error().what(), "read from client alpha: connection reset by peer");
  EXPECT_EQ(flow.collector.state, IoState::end);
}

TEST_F(SimPump, ASinkThatFailsAtTheEndIsTheOutcome) {
  Flow flow(loop_, 1000, {}, {.latency = seconds(1)});
  flow.out.link->stop_reading();
  flow.start();
  loop_.run_due();
  EXPECT_FALSE(flow.outcome);
  flow.out.link->reset();
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(flow.outcome && !*flow.outcome);
  EXPECT_EQ(flow.moved(), 1000U);
}

TEST_F(SimPump, CancelWhileTheSinkFinishesIsTold) {
  Flow flow(loop_, 1000, {}, {.latency = seconds(1)});
  flow.start();
  loop_.run_due();
  flow.pump.cancel();
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(flow.outcome && !*flow.outcome);
  EXPECT_EQ(flow.outcome->error().kind(), ErrorKind::cancelled);
}

TEST_F(SimPump, AStoppedReceiverHoldsUpItsOwnFlowOnly) {
  Flow stopped(loop_, 20'000'000, {}, {});
  Flow running(loop_, 20'000'000, {}, {.bytes_per_second = 10'000'000});
  stopped.out.link->stop_reading();
  stopped.start();
  running.start();
  loop_.advance(milliseconds(1000));
  EXPECT_EQ(stopped.moved(), 65536U);
  EXPECT_GE(running.moved(), 9'900'000U);
  loop_.advance(milliseconds(1100));
  ASSERT_TRUE(running.outcome && *running.outcome);
  EXPECT_FALSE(stopped.outcome);
  EXPECT_GE(stopped.pump.meter().snapshot().blocked, milliseconds(2000));
}

TEST_F(SimPump, EveryMomentIsCountedOnce) {
  // Starved, then throttled, gated, blocked, and blocked again in finish(); the ring's fill beside it.
  Throttle throttle(loop_, 1000);
  Gate gate;
  PumpOptions options;
  options.budget_bytes = 80'000;
  Flow flow(loop_, 1'000'000, {.latency = seconds(2)}, {.latency = seconds(1)}, options);
  flow.pump.set_gate(gate);
  flow.pump.set_throttle(throttle);
  loop_.advance(seconds(5));  // before the start: no part of its age
  flow.start();
  loop_.advance(milliseconds(1999));
  auto now = flow.pump.meter().snapshot();
  EXPECT_EQ(now.starved, milliseconds(1999));
  EXPECT_EQ(now.fill[0], now.age());
  loop_.advance(seconds(3));
  EXPECT_EQ(flow.pump.meter().state(), FlowState::throttled);
  EXPECT_GE(flow.pump.meter().snapshot().throttled, milliseconds(2500));
  gate.close();
  throttle.set_rate(0);
  loop_.advance(seconds(4));
  EXPECT_EQ(flow.pump.meter().state(), FlowState::gated);
  flow.out.link->stop_reading();
  gate.reopen();
  loop_.advance(seconds(10));
  EXPECT_EQ(flow.pump.meter().state(), FlowState::blocked);
  now = flow.pump.meter().snapshot();
  EXPECT_GE(now.fill[7], milliseconds(5000));
  flow.out.link->resume_reading();
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(flow.outcome && *flow.outcome);
  now = flow.pump.meter().snapshot();
  loop_.advance(seconds(50));  // after its end: no part of its age
  const auto later = flow.pump.meter().snapshot();
  EXPECT_EQ(now.age(), later.age());
  EXPECT_EQ(later.bytes, 1'000'000U);
  EXPECT_GE(later.gated, milliseconds(3900));
  EXPECT_GE(later.blocked, seconds(10));
  base::Duration filled{};
  for (const base::Duration part : later.fill) filled += part;
  EXPECT_EQ(filled, later.age());
  EXPECT_FALSE(later.spliced);
}

TEST_F(SimPump, AThrottledFlowKeepsToItsRateAndLosesNothing) {
  Throttle throttle(loop_, 1'000'000);
  Flow flow(loop_, 3'000'000, {.largest_move_bytes = 40'000, .false_wait_one_in = 4, .seed = 7}, {});
  flow.pump.set_throttle(throttle);
  flow.start();
  loop_.advance(milliseconds(2000));
  EXPECT_NEAR(static_cast<double>(flow.moved()), 2e6, 1e5);
  EXPECT_GE(flow.pump.meter().snapshot().throttled, milliseconds(1800));
  ASSERT_TRUE(loop_.run_until_idle());
  ASSERT_TRUE(flow.outcome && *flow.outcome);
  EXPECT_TRUE(flow.collector.text == noise(3'000'000));
}

TEST_F(SimPump, FlowsShareAThrottleEvenly) {
  Throttle throttle(loop_, 3'000'000);
  std::vector<std::unique_ptr<Flow>> flows;
  for (size_t i = 0; i < 3; ++i) {
    flows.push_back(std::make_unique<Flow>(loop_, 5'000'000, sim::SimLinkOptions{}, sim::SimLinkOptions{}));
    flows.back()->pump.set_throttle(throttle);
    flows.back()->start();
  }
  loop_.advance(seconds(2));
  for (const auto& flow : flows) EXPECT_NEAR(static_cast<double>(flow->moved()), 2e6, 1e5);
  // One that waits in the queue and is cancelled, one that is destroyed there: the last has it all.
  flows[0]->pump.cancel();
  flows.erase(flows.begin() + 1);
  const uint64_t before = flows[1]->moved();
  loop_.advance(milliseconds(500));
  EXPECT_NEAR(static_cast<double>(flows[1]->moved() - before), 1.5e6, 1e5);
}

}  // namespace
}  // namespace headrace::flow
