#include "server/plan/forecast.h"

#include <gtest/gtest.h>

namespace headrace::plan {
namespace {

TEST(Forecast, days_follow_each_other) {
  EXPECT_EQ(next_day("20261123010203"), "20261124010203");
  EXPECT_EQ(next_day("20261231"), "20270101");
  EXPECT_EQ(next_day("20280228233000"), "20280229233000");
  EXPECT_EQ(next_day("never"), "never");
}

// Ten new disks, all due on the same days at first: within a cycle their fulls are spread.
TEST(Forecast, fulls_spread_over_the_cycle) {
  constexpr size_t kDisks = 10;
  constexpr int64_t kCycle = 5;
  PlanInputs inputs;
  inputs.timestamp = "20261123010000";
  inputs.capacity = {.volume_kib = 1'000'000, .dumpcycle_days = kCycle};
  std::vector<Answer> answers;
  for (size_t i = 0; i < kDisks; ++i) {
    PlanDle dle{.host = "h" + std::to_string(i), .disk = "/"};
    dle.dumpcycle_days = kCycle;
    inputs.dles.push_back(dle);
    answers.push_back({.native_kib = {{0, 1000}, {1, 10}}});
  }
  const auto nights = foresee(inputs, answers, 20);
  ASSERT_EQ(nights.size(), 20U);
  EXPECT_EQ(nights[0].plan.fulls_kib, 10'000U) << "all are new";
  EXPECT_EQ(nights[1].timestamp, "20261124010000");
  std::vector<size_t> last_full(kDisks, 0);
  for (size_t night = 0; night < nights.size(); ++night) {
    const auto& plan = nights[night].plan;
    EXPECT_EQ(plan.dumps.size(), kDisks);
    EXPECT_EQ(plan.balanced_kib, 2000U);
    if (night > 0) EXPECT_EQ(plan.fulls_kib, 2000U) << "two fulls each night: " << night;
    for (const auto& dump : plan.dumps) {
      if (dump.as.level == 0) last_full[dump.dle] = night;
      EXPECT_LE(night - last_full[dump.dle], static_cast<size_t>(kCycle)) << dump.dle;
    }
  }
}

}  // namespace
}  // namespace headrace::plan
