#include "sim/sim_loop.h"

#include <gtest/gtest.h>

#include <string>

namespace headrace::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(SimLoop, EventsRunByTimeThenByOrderOfAsking) {
  SimLoop loop;
  std::string order;
  const auto c = loop.after(seconds(2), [&] { order += 'c'; });
  const auto a = loop.after(seconds(1), [&] { order += 'a'; });
  const auto b = loop.after(seconds(1), [&] { order += 'b'; });
  loop.post([&] { order += '0'; });
  EXPECT_TRUE(loop.run_until_idle());
  EXPECT_EQ(order, "0abc");
  EXPECT_EQ(loop.clock().now().time_since_epoch(), seconds(2));
}

TEST(SimLoop, ADestroyedTimerDoesNotCall) {
  SimLoop loop;
  bool called = false;
  auto doomed = loop.after(seconds(1), [&] { called = true; });
  const auto killer = loop.after(seconds(1) - milliseconds(1), [&] { doomed.reset(); });
  EXPECT_TRUE(loop.run_until_idle());
  EXPECT_FALSE(called);
}

TEST(SimLoop, ATimerMayDestroyItself) {
  SimLoop loop;
  std::unique_ptr<loop::Timer> timer;
  timer = loop.after(seconds(1), [&] { timer.reset(); });
  EXPECT_TRUE(loop.run_until_idle());
  EXPECT_EQ(timer, nullptr);
}

TEST(SimLoop, AdvanceLetsExactlySoMuchTimePass) {
  SimLoop loop;
  int calls = 0;
  const auto early = loop.after(seconds(5), [&] { ++calls; });
  const auto late = loop.after(seconds(6), [&] { ++calls; });
  loop.advance(seconds(5));
  EXPECT_EQ(calls, 1);
  loop.advance(milliseconds(999));
  EXPECT_EQ(calls, 1);
  loop.advance(milliseconds(1));
  EXPECT_EQ(calls, 2);
}

TEST(SimLoop, RunDueDoesNotMoveTime) {
  SimLoop loop;
  std::string order;
  const auto later = loop.after(milliseconds(1), [&] { order += 'b'; });
  loop.post([&] { loop.post([&] { order += 'a'; }); });
  loop.run_due();
  EXPECT_EQ(order, "a");
}

TEST(SimLoop, RunEndsAtStopOrForWantOfEvents) {
  SimLoop loop;
  loop.post([&] { loop.stop(); });
  const auto never = loop.after(hours(1), [] {});
  loop.run();
  EXPECT_FALSE(loop.ran_dry());
  EXPECT_EQ(loop.events_waiting(), 1U);
  loop.run();
  EXPECT_TRUE(loop.ran_dry());
}

TEST(SimLoop, RunForEndsAtStopOrInTime) {
  SimLoop loop;
  const auto timer = loop.after(seconds(10), [&] { loop.stop(); });
  EXPECT_FALSE(loop.run_for(seconds(9)));
  EXPECT_EQ(loop.clock().now().time_since_epoch(), seconds(9));
  EXPECT_TRUE(loop.run_for(seconds(9)));
  EXPECT_EQ(loop.clock().now().time_since_epoch(), seconds(10));
}

TEST(SimLoop, RunUntilLooksAfterEachEvent) {
  SimLoop loop;
  int count = 0;
  for (int i = 0; i < 10; ++i) loop.post([&] { ++count; });
  EXPECT_TRUE(loop.run_until([&] { return count == 4; }));
  EXPECT_EQ(count, 4);
  EXPECT_FALSE(loop.run_until([&] { return count == 11; }));
}

TEST(SimLoop, ForeverIsPossible) {
  SimLoop loop;
  const auto never = loop.after(base::Duration::max(), [] { FAIL(); });
  loop.advance(hours(1000));
  EXPECT_FALSE(loop.run_until_idle());
}

TEST(SimLoop, WorkTakesItsTimeOneAfterTheOtherInALane) {
  SimLoop loop;
  loop.set_work_duration(seconds(3));
  std::string order;
  const auto log = [&](char what) {
    return [&order, &loop, what] {
      order += what + std::to_string(
                          std::chrono::duration_cast<seconds>(loop.clock().now().time_since_epoch()).count());
    };
  };
  const uint64_t lane = loop.new_lane();
  loop.offload(lane, log('a'), log('A'));
  loop.offload(lane, log('b'), log('B'));
  loop.offload(loop.new_lane(), log('c'), log('C'));
  EXPECT_EQ(order, "");
  EXPECT_TRUE(loop.run_until_idle());
  EXPECT_EQ(order, "a3c3A3C3b6B6");
}

TEST(SimLoop, TheWallClockGoesAlongAndMayBeStepped) {
  SimLoop loop(1000);
  loop.advance(seconds(5));
  EXPECT_EQ(loop.clock().wall_seconds(), 1005);
  loop.step_wall_clock(-100);
  EXPECT_EQ(loop.clock().wall_seconds(), 905);
  EXPECT_EQ(loop.clock().now().time_since_epoch(), seconds(5));
}

TEST(SimLoop, CallbacksThatOwnTimersMayBeDropped) {
  auto loop = std::make_unique<SimLoop>();
  for (int i = 0; i < 3; ++i) {
    auto timer = loop->after(seconds(i), [] {});
    loop->post([held = std::move(timer)] { FAIL() << held.get(); });
  }
  loop.reset();
}

TEST(SimLoop, DroppedEventsLetGoOfWhatTheyOwn) {
  SimLoop loop;
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> seen = owned;
  loop.post([owned = std::move(owned)] { FAIL(); });
  loop.drop_events();
  EXPECT_TRUE(seen.expired());
  EXPECT_TRUE(loop.run_until_idle());
}

TEST(SimLoop, HasNoDescriptors) {
  SimLoop loop;
  const auto watch = loop.watch(0);
  ASSERT_FALSE(watch);
  EXPECT_EQ(watch.error().kind(), base::ErrorKind::unsupported);
}

}  // namespace
}  // namespace headrace::sim
