// What holds for every plan, whatever the inputs.
#include <gtest/gtest.h>

#include <random>

#include "server/plan/plan.h"

namespace headrace::plan {
namespace {

using config::Strategy;

constexpr const char* kTonight = "20261123010000";

// Whatever the inputs: each disk has one fate, and no incremental is planned on a base that is gone.
TEST(MakePlan, any_history_gives_one_fate_and_a_sound_base) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    const auto flip = [&random] { return random() % 4 == 0; };
    PlanInputs inputs{
        kTonight,
        {},
        {.volume_kib = static_cast<int64_t>(random() % 5000), .volumes = static_cast<int64_t>(random() % 3)}};
    std::vector<Answer> answers;
    for (unsigned n = random() % 8; n > 0; --n) {
      PlanDle dle{.host = "h", .disk = "d"};
      dle.strategy = static_cast<Strategy>(random() % 6);
      dle.skip_full = flip();
      dle.skip_incr = flip();
      dle.force_full = flip();
      dle.force_level_1 = flip();
      dle.force_bump = flip();
      dle.compresses = flip();
      dle.dumpcycle_days = random() % 9;
      dle.last_level = static_cast<int>(random() % 6) - 1;
      for (int level = 0; level <= dle.last_level; ++level)
        if (!flip())
          dle.records[level] = {"202611" + std::to_string(10 + random() % 13), random() % 999, 1, !flip()};
      for (int level = 0; level < 4; ++level)
        if (flip()) dle.failed[level] = "202611" + std::to_string(10 + random() % 13);
      inputs.dles.push_back(dle);
      answers.push_back({});
      if (flip()) answers.back().refusal = "no";
      answers.back().native_kib[static_cast<int>(random() % 4)] = static_cast<int64_t>(random() % 9999) - 5;
    }
    const auto plan = make_plan(inputs, answers);
    std::vector<int> fates(inputs.dles.size());
    for (const auto& dump : plan.dumps) {
      ++fates[dump.dle];
      const auto& dle = inputs.dles[dump.dle];
      ASSERT_GE(dump.as.stored_kib, 1U);
      ASSERT_GE(dump.as.kps, 1U);
      if (dump.as.level == 0) continue;
      const bool fulls_elsewhere = dle.strategy == Strategy::incronly || dle.strategy == Strategy::nofull;
      for (int below = fulls_elsewhere ? 1 : 0; below < dump.as.level; ++below)
        ASSERT_TRUE(dle.records.contains(below) && dle.records.at(below).exists) << "seed " << seed;
      if (dump.as.reason.why == Why::on_failed) continue;  // nothing better is left, and it says so
      // What its client builds on was not recorded anew by a dump that failed.
      const int base = dump.as.level - 1;
      const bool told = dle.strategy == Strategy::incronly && dle.force_full;
      ASSERT_TRUE(!dle.failed.contains(base) || (base == 0 && told)) << "seed " << seed;
    }
    for (const auto* list : {&plan.skipped, &plan.failed, &plan.left_out})
      for (const auto& one : *list) ++fates[one.dle];
    for (const int count : fates) ASSERT_EQ(count, 1) << "seed " << seed;
  }
}

}  // namespace
}  // namespace headrace::plan
