// The rate limit on virtual time: what it lets through, to whom, and what a change of the rate does.
#include "flow/throttle.h"

#include <gtest/gtest.h>

#include <vector>

#include "flow/limits.h"
#include "sim/sim_loop.h"

namespace headrace::flow {
namespace {

using sim::SimLoop;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A flow that always has bytes to move and takes what it gets.
class Greedy : public Throttle::Waiter {
 public:
  Greedy(SimLoop& loop, Throttle& throttle) : loop_(loop), throttle_(throttle) {}
  virtual ~Greedy() = default;
  void go_on() {
    for (int round = 0; round < 4; ++round) {
      const size_t got = throttle_.take(*this, kQuantumBytes);
      if (got == 0) return;
      moved += got;
    }
    loop_.post([this] {
      if (!waiting()) go_on();
    });
  }
  void give_up() { leave_queue(); }
  uint64_t moved = 0;

 private:
  void granted(size_t bytes) override {
    EXPECT_GT(bytes, 0U);
    EXPECT_LE(bytes, kQuantumBytes);
    moved += bytes;
    loop_.post([this] {
      if (!waiting()) go_on();
    });
  }
  SimLoop& loop_;
  Throttle& throttle_;
};

TEST(Throttle, LetsTheRateThroughAndNoMore) {
  for (const uint64_t rate : {uint64_t{1}, uint64_t{7}, uint64_t{1000}, uint64_t{99'999}, uint64_t{5'000'000},
                              uint64_t{3'000'000'000}}) {
    SimLoop loop;
    Throttle throttle(loop, rate);
    Greedy flow(loop, throttle);
    flow.go_on();
    loop.advance(seconds(20));
    EXPECT_LE(flow.moved, 20 * rate + 1) << rate;
    EXPECT_GE(flow.moved, 20 * rate - rate / 10 - 1) << rate;
    // It slept in between.
    EXPECT_LE(loop.events_run(), 20 * 4 * (kThrottleTurnsPerSecond + rate / kQuantumBytes)) << rate;
  }
}

TEST(Throttle, ZeroIsNoLimit) {
  SimLoop loop;
  Throttle throttle(loop);
  Greedy flow(loop, throttle);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(throttle.take(flow, kQuantumBytes), kQuantumBytes);
  EXPECT_EQ(loop.events_waiting(), 0U);
}

TEST(Throttle, SavesUpLittleWhileNobodyMoves) {
  SimLoop loop;
  Throttle throttle(loop, 1'600'000);
  loop.advance(seconds(3600));
  Greedy flow(loop, throttle);
  flow.go_on();
  EXPECT_EQ(flow.moved, 100'000U);
}

TEST(Throttle, FlowsThatShareItTakeTurns) {
  for (const size_t count : {size_t{2}, size_t{3}, size_t{512}}) {
    SimLoop loop;
    Throttle throttle(loop, 50'000'000);
    std::vector<std::unique_ptr<Greedy>> flows;
    for (size_t i = 0; i < count; ++i) {
      flows.push_back(std::make_unique<Greedy>(loop, throttle));
      flows.back()->go_on();
    }
    loop.advance(seconds(20));
    uint64_t sum = 0;
    for (const auto& flow : flows) {
      sum += flow->moved;
      EXPECT_NEAR(static_cast<double>(flow->moved), 1e9 / static_cast<double>(count), 4e6 / 3);
    }
    EXPECT_NEAR(static_cast<double>(sum), 1e9, 4e6);
  }
}

TEST(Throttle, TheRateMayChangeWhileFlowsWait) {
  SimLoop loop;
  Throttle throttle(loop, 1);
  Greedy flow(loop, throttle);
  flow.go_on();
  loop.advance(seconds(10));
  EXPECT_LE(flow.moved, 11U);
  throttle.set_rate(1'000'000);
  loop.advance(seconds(10));
  EXPECT_NEAR(static_cast<double>(flow.moved), 1e7, 1e5);
  const uint64_t before = flow.moved;
  throttle.set_rate(1000);
  loop.advance(seconds(100));
  EXPECT_NEAR(static_cast<double>(flow.moved - before), 1e5, 2e3);
  // Without a limit whoever waits goes on at once.
  flow.moved = 0;
  throttle.set_rate(0);
  EXPECT_FALSE(flow.waiting());
  EXPECT_EQ(flow.moved, kQuantumBytes);
  flow.give_up();
}

TEST(Throttle, WhoLeavesTheQueueHoldsNobodyUp) {
  SimLoop loop;
  Throttle throttle(loop, 1000);
  auto first = std::make_unique<Greedy>(loop, throttle);
  auto second = std::make_unique<Greedy>(loop, throttle);
  Greedy third(loop, throttle);
  first->go_on();
  second->go_on();
  third.go_on();
  EXPECT_TRUE(first->waiting() && second->waiting() && third.waiting());
  second->give_up();
  EXPECT_FALSE(second->waiting());
  first->give_up();
  loop.advance(seconds(10));
  EXPECT_EQ(first->moved, 0U);
  EXPECT_NEAR(static_cast<double>(third.moved), 10'000, 200);
  third.give_up();
  loop.advance(seconds(1));
  EXPECT_EQ(loop.events_waiting(), 0U) << "a timer for nobody";
}

TEST(Throttle, WhatIsGivenBackGoesToTheNext) {
  SimLoop loop;
  Throttle throttle(loop, 1'600'000);
  loop.advance(seconds(1));
  Greedy first(loop, throttle);
  Greedy second(loop, throttle);
  const size_t got = throttle.take(first, kQuantumBytes);
  ASSERT_EQ(got, 100'000U);
  ASSERT_EQ(throttle.take(second, kQuantumBytes), 0U);
  throttle.give_back(got);
  EXPECT_FALSE(second.waiting());
  EXPECT_GT(second.moved, 0U);
  second.give_up();
}

}  // namespace
}  // namespace headrace::flow
