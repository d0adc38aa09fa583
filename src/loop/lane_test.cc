#include "loop/lane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <string>
#include <thread>

#include "loop/test_loop.h"

namespace headrace::loop {
namespace {

class LaneTest : public ::testing::Test {
 protected:
  // Runs until everything offered to `lane` before has been done.
  void drain(Lane& lane) {
    lane.run_detached([] {});
    bool done = false;
    lane.run([] {},
             [&] {
               done = true;
               loop_->stop();
             });
    loop_->run();
    EXPECT_TRUE(done);
  }

  std::unique_ptr<Loop> loop_ = make_loop(2);
  std::unique_ptr<Timer> deadline_ = end_test_after_deadline(*loop_);
};

TEST_F(LaneTest, WorksThenReports) {
  Lane lane(*loop_);
  std::string trace;
  lane.run([&] { trace += "work "; },
           [&] {
             trace += lane.busy() ? "busy" : "free";
             loop_->stop();
           });
  EXPECT_TRUE(lane.busy());
  loop_->run();
  EXPECT_EQ(trace, "work free");
}

TEST_F(LaneTest, ATaskThatHasNotBegunNeverRuns) {
  std::binary_semaphore gate(0);
  Lane first(*loop_, 77);
  Lane second(*loop_, 77);
  first.run_detached([&] { gate.acquire(); });
  bool worked = false;
  bool reported = false;
  second.run([&] { worked = true; }, [&] { reported = true; });
  second.drop();
  second.drop();
  EXPECT_FALSE(second.busy());
  gate.release();
  drain(second);
  EXPECT_FALSE(worked);
  EXPECT_FALSE(reported);
}

TEST_F(LaneTest, DroppingWaitsForATaskThatRuns) {
  std::binary_semaphore begun(0);
  std::atomic<bool> ended = false;
  bool reported = false;
  Lane lane(*loop_);
  lane.run(
      [&] {
        begun.release();
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        ended = true;
      },
      [&] { reported = true; });
  begun.acquire();
  lane.drop();
  EXPECT_TRUE(ended);
  drain(lane);
  EXPECT_FALSE(reported);
}

TEST_F(LaneTest, DroppingDoesNotWaitBehindTheLoan) {
  std::binary_semaphore begun(0);
  std::binary_semaphore gate(0);
  bool reported = false;
  Lane lane(*loop_);
  lane.run(
      [&](Lane::Loan& loan) {
        loan.give_back();
        loan.give_back();
        begun.release();
        gate.acquire();
      },
      [&] { reported = true; });
  begun.acquire();
  lane.drop();  // would never come back if it waited for the gate
  gate.release();
  drain(lane);
  EXPECT_FALSE(reported);
}

TEST_F(LaneTest, AForgottenTaskEndsUnheard) {
  std::binary_semaphore begun(0);
  std::binary_semaphore gate(0);
  std::string trace;
  {
    Lane lane(*loop_, 78);
    lane.run(
        [&] {
          begun.release();
          gate.acquire();
          trace += "work ";
        },
        [&] { trace += "reported "; });
    begun.acquire();
    lane.forget();
  }
  Lane other(*loop_, 78);
  other.run_detached([&] { trace += "behind"; });
  gate.release();
  drain(other);
  EXPECT_EQ(trace, "work behind");
}

TEST_F(LaneTest, ADestroyedLaneReportsNothing) {
  bool reported = false;
  {
    Lane(*loop_).run([] {}, [&] { reported = true; });
  }
  turn_loop(*loop_, 20, [&] { loop_->stop(); });
  loop_->run();
  EXPECT_FALSE(reported);
}

}  // namespace
}  // namespace headrace::loop
