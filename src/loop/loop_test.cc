#include "loop/loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "loop/signals.h"
#include "loop/test_loop.h"

namespace headrace::loop {
namespace {

using std::chrono::milliseconds;

class LoopTest : public ::testing::Test {
 protected:
  std::unique_ptr<Loop> loop_ = make_loop(2);
  std::unique_ptr<Timer> deadline_ = end_test_after_deadline(*loop_);
};

TEST_F(LoopTest, TimersFireInOrderOfTheirTimes) {
  std::string order;
  const auto late = loop_->after(milliseconds(6), [&] {
    order += 'c';
    loop_->stop();
  });
  const auto early = loop_->after(milliseconds(1), [&] { order += 'a'; });
  const auto middle = loop_->after(milliseconds(3), [&] { order += 'b'; });
  loop_->run();
  EXPECT_EQ(order, "abc");
}

TEST_F(LoopTest, ADestroyedTimerDoesNotCall) {
  bool called = false;
  auto doomed = loop_->after(milliseconds(0), [&] { called = true; });
  const auto killer = loop_->after(milliseconds(2), [&] { loop_->stop(); });
  doomed.reset();
  loop_->run();
  EXPECT_FALSE(called);
}

TEST_F(LoopTest, ATimerDestroyedWhenAlreadyDueDoesNotCall) {
  bool called = false;
  std::unique_ptr<Timer> second;
  const auto first = loop_->after(milliseconds(0), [&] {
    second.reset();
    loop_->stop();
  });
  second = loop_->after(milliseconds(0), [&] { called = true; });
  // Both are due before the loop looks.
  const auto start = loop_->clock().now();
  while (loop_->clock().now() - start < milliseconds(1)) {
  }
  loop_->run();
  EXPECT_FALSE(called);
}

TEST_F(LoopTest, ATimerMayDestroyItself) {
  std::unique_ptr<Timer> timer;
  timer = loop_->after(milliseconds(0), [&] {
    timer.reset();
    loop_->stop();
  });
  loop_->run();
  EXPECT_EQ(timer, nullptr);
}

TEST_F(LoopTest, BusyTurnsHoldNothingElseUp) {
  // Hundreds of flows that always have something to move.
  constexpr size_t kFlows = 512;
  uint64_t turns_taken = 0;
  std::vector<uint64_t> by_flow(kFlows);
  std::function<void(size_t)> take_turn = [&](size_t flow) {
    ++turns_taken;
    ++by_flow[flow];
    loop_->post_turn([&, flow] { take_turn(flow); });
  };
  for (size_t flow = 0; flow < kFlows; ++flow) loop_->post_turn([&, flow] { take_turn(flow); });

  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const base::Fd reading(ends[0]);
  const base::Fd writing(ends[1]);
  auto watch = loop_->watch(reading.get());
  ASSERT_TRUE(watch);
  // Each of these has to come before another round of all flows is over.
  std::string order;
  uint64_t asked = 0;
  std::unique_ptr<Timer> timer;
  const auto within_few_turns = [&](char what) {
    EXPECT_LE(turns_taken - asked, 16U) << what;
    order += what;
    asked = turns_taken;
  };
  loop_->post_turn([&] {
    asked = turns_taken;
    loop_->post([&] {
      within_few_turns('p');
      EXPECT_EQ(write(writing.get(), "x", 1), 1);
      (*watch)->await_readable([&] {
        within_few_turns('d');
        timer = loop_->after(milliseconds(0), [&] {
          within_few_turns('t');
          loop_->stop();
        });
      });
    });
  });
  loop_->run();
  EXPECT_EQ(order, "pdt");
  const auto [least, most] = std::ranges::minmax(by_flow);
  EXPECT_LE(most - least, 1U) << "turns are taken in turn";
}

TEST_F(LoopTest, WhatIsPostedWithoutEndLeavesOthersTheirTurn) {
  std::function<void()> again = [&] { loop_->post([&] { again(); }); };
  again();
  std::string order;
  loop_->post_turn([&] { order += 'u'; });
  const auto timer = loop_->after(milliseconds(1), [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(order, "u");
}

TEST_F(LoopTest, AStopInTheMiddleKeepsTheRestForLater) {
  for (const bool turns : {false, true}) {
    std::string order;
    const auto ask = [&](Callback what) {
      turns ? loop_->post_turn(std::move(what)) : loop_->post(std::move(what));
    };
    ask([&] {
      order += 'a';
      loop_->stop();
    });
    ask([&] { order += 'b'; });
    ask([&] {
      order += 'c';
      loop_->stop();
    });
    loop_->run();
    EXPECT_EQ(order, "a");
    loop_->run();
    EXPECT_EQ(order, "abc");
  }
}

TEST_F(LoopTest, DelaysOfAnySizeAreTaken) {
  const auto never =
      loop_->after(base::Duration::max(), [] { FAIL() << "the longest delay is over already"; });
  const auto at_once = loop_->after(base::Duration(-5), [&] { loop_->stop(); });
  loop_->run();
}

TEST_F(LoopTest, PostsRunLaterAndInOrder) {
  std::string order;
  loop_->post([&] {
    loop_->post([&] {
      order += 'c';
      loop_->stop();
    });
    order += 'a';
  });
  loop_->post([&] { order += 'b'; });
  EXPECT_EQ(order, "");
  loop_->run();
  EXPECT_EQ(order, "abc");
}

TEST_F(LoopTest, PostsFromAnotherThreadRunOnTheLoopsThread) {
  const auto here = std::this_thread::get_id();
  std::thread::id ran_on;
  std::thread other([&] {
    loop_->post([&] {
      ran_on = std::this_thread::get_id();
      loop_->stop();
    });
  });
  loop_->run();
  other.join();
  EXPECT_EQ(ran_on, here);
}

TEST_F(LoopTest, StopBeforeRunIsRemembered) {
  loop_->stop();
  loop_->run();
  bool ran = false;
  loop_->post([&] {
    ran = true;
    loop_->stop();
  });
  loop_->run();
  EXPECT_TRUE(ran);
}

TEST_F(LoopTest, WorksOfALaneRunInOrderAndDoneOnTheLoop) {
  const auto here = std::this_thread::get_id();
  const uint64_t lane = loop_->new_lane();
  std::vector<int> worked;  // only this lane's works touch it
  std::vector<int> done;
  for (int i = 0; i < 200; ++i) {
    loop_->offload(
        lane,
        [&, i] {
          EXPECT_NE(std::this_thread::get_id(), here);
          worked.push_back(i);
        },
        [&, i] {
          EXPECT_EQ(std::this_thread::get_id(), here);
          done.push_back(i);
          if (i == 199) loop_->stop();
        });
  }
  loop_->run();
  ASSERT_EQ(worked.size(), 200U);
  EXPECT_TRUE(std::is_sorted(worked.begin(), worked.end()));
  EXPECT_EQ(worked, done);
}

TEST_F(LoopTest, LanesRunSideBySide) {
  // Each work waits for the other, so one thread alone would not finish them.
  std::promise<void> one;
  std::promise<void> two;
  int done = 0;
  const auto finish = [&] {
    if (++done == 2) loop_->stop();
  };
  loop_->offload(
      loop_->new_lane(),
      [&] {
        one.set_value();
        two.get_future().wait();
      },
      finish);
  loop_->offload(
      loop_->new_lane(),
      [&] {
        two.set_value();
        one.get_future().wait();
      },
      finish);
  loop_->run();
  EXPECT_EQ(done, 2);
}

TEST_F(LoopTest, NameLookupsDoNotHoldUpOtherLanes) {
  std::promise<void> release;
  auto released = release.get_future().share();
  for (uint64_t lane = 0; lane < kNameLanes; ++lane) {
    loop_->offload(lane, [released] { released.wait(); }, [] {});
  }
  bool done = false;
  loop_->offload(
      loop_->new_lane(), [] {},
      [&] {
        done = true;
        release.set_value();
        loop_->stop();
      });
  loop_->run();
  EXPECT_TRUE(done);
}

TEST_F(LoopTest, DestroyingTheLoopWaitsForWorkUnderWayAndDropsTheRest) {
  std::promise<void> begun;
  std::promise<void> go_on;
  bool finished = false;
  bool called = false;
  const uint64_t lane = loop_->new_lane();
  loop_->offload(
      lane,
      [&] {
        begun.set_value();
        go_on.get_future().wait();
        finished = true;
      },
      [&] { called = true; });
  // Being dropped, the second lets the first go on.
  std::shared_ptr<void> when_dropped(nullptr, [&](void*) { go_on.set_value(); });
  loop_->offload(lane, [&, held = std::move(when_dropped)] { called = true; }, [&] { called = true; });
  begun.get_future().wait();
  deadline_.reset();
  loop_.reset();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(called);
}

TEST_F(LoopTest, DestroyingTheLoopDoesWhatMustBeDone) {
  std::promise<void> begun;
  std::promise<void> go_on;
  std::vector<int> worked;
  const uint64_t lane = loop_->new_lane();
  loop_->offload(
      lane,
      [&] {
        begun.set_value();
        go_on.get_future().wait();
        worked.push_back(1);
      },
      [] {});
  // Being dropped, it lets the first go on and leaves something more to be done, as an abandoned file does.
  std::shared_ptr<void> when_dropped(nullptr, [&, loop = loop_.get()](void*) {
    loop->offload_surely(lane, [&] { worked.push_back(4); });
    go_on.set_value();
  });
  loop_->offload(lane, [&, held = std::move(when_dropped)] { worked.push_back(2); }, [] {});
  loop_->offload_surely(lane, [&] { worked.push_back(3); });
  begun.get_future().wait();
  deadline_.reset();
  // A callback that goes with the loop, behind its workers.
  loop_->post([&, held = std::shared_ptr<void>(nullptr, [&, loop = loop_.get()](void*) {
                    loop->offload_surely(lane, [&] { worked.push_back(5); });
                  })] {});
  loop_.reset();
  EXPECT_EQ(worked, (std::vector{1, 3, 4, 5}));
}

class WatchTest : public LoopTest {
 protected:
  WatchTest() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    from_.reset(ends[0]);
    to_.reset(ends[1]);
  }
  void put(const char* text) { ASSERT_EQ(write(to_.get(), text, strlen(text)), ssize_t(strlen(text))); }

  base::Fd from_;
  base::Fd to_;
};

TEST_F(WatchTest, CallsOnceForEachArming) {
  const auto watch = loop_->watch(from_.get());
  ASSERT_TRUE(watch);
  put("x");
  int calls = 0;
  (*watch)->await_readable([&] {
    ++calls;
    turn_loop(*loop_, 5, [&] { loop_->stop(); });
  });
  EXPECT_EQ(calls, 0);
  loop_->run();
  EXPECT_EQ(calls, 1);
  // Still readable: a new arming calls again.
  (*watch)->await_readable([&] {
    ++calls;
    loop_->stop();
  });
  loop_->run();
  EXPECT_EQ(calls, 2);
}

TEST_F(WatchTest, ALaterArmingReplacesAndAnEmptyOneCancels) {
  const auto watch = loop_->watch(from_.get());
  ASSERT_TRUE(watch);
  std::string calls;
  (*watch)->await_readable([&] { calls += 'a'; });
  (*watch)->await_readable([&] { calls += 'b'; });
  put("x");
  turn_loop(*loop_, 5, [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(calls, "b");
  (*watch)->await_readable([&] { calls += 'c'; });
  (*watch)->await_readable({});
  turn_loop(*loop_, 5, [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(calls, "b");
}

TEST_F(WatchTest, ADestroyedWatchDoesNotCallAndLeavesTheDescriptorOpen) {
  auto watch = loop_->watch(from_.get());
  ASSERT_TRUE(watch);
  bool called = false;
  (*watch)->await_readable([&] { called = true; });
  put("x");
  watch->reset();
  turn_loop(*loop_, 5, [&] { loop_->stop(); });
  loop_->run();
  EXPECT_FALSE(called);
  EXPECT_NE(fcntl(from_.get(), F_GETFD), -1);
  // And it can be watched anew.
  EXPECT_TRUE(loop_->watch(from_.get()));
}

TEST_F(WatchTest, BothEndsHearOfTheOthersClosing) {
  const auto reader = loop_->watch(from_.get());
  ASSERT_TRUE(reader);
  (*reader)->await_readable([&] { loop_->stop(); });
  to_.reset();
  loop_->run();
  char byte = 0;
  EXPECT_EQ(read(from_.get(), &byte, 1), 0);
}

TEST_F(WatchTest, RegularFilesAreAnErrorThatSaysSo) {
  const base::Fd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  const auto watch = loop_->watch(file.get());
  ASSERT_FALSE(watch);
  EXPECT_NE(watch.error().what().find("wait for descriptor"), std::string::npos);
  EXPECT_FALSE(loop_->watch(-1));
}

TEST_F(LoopTest, SignalsBecomeCallbacksUntilDestroyed) {
  std::vector<int> seen;
  auto signals = on_signals(*loop_, {SIGUSR1, SIGUSR2}, [&](int number) {
    seen.push_back(number);
    if (seen.size() == 1) raise(SIGUSR2);
    if (seen.size() == 2) loop_->stop();
  });
  raise(SIGUSR1);
  loop_->run();
  EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR2}));
  signals.reset();
  struct sigaction now{};
  sigaction(SIGUSR1, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

TEST_F(LoopTest, SignalsMayBeDestroyedFromTheirCallback) {
  std::unique_ptr<Signals> signals;
  signals = on_signals(*loop_, {SIGUSR1}, [&](int) {
    signals.reset();
    loop_->stop();
  });
  raise(SIGUSR1);
  loop_->run();
  EXPECT_EQ(signals, nullptr);
}

TEST_F(LoopTest, SigpipeIsIgnored) {
  struct sigaction now{};
  sigaction(SIGPIPE, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
}

}  // namespace
}  // namespace headrace::loop
