// What is made of a disk some of whose dumps failed on their way, though their client may have recorded them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/plan/levels.h"
#include "server/plan/test_support.h"

namespace headrace::plan {
namespace {

using config::Strategy;
using testing::HasSubstr;

// A disk with a full, and levels 1 and up on the days after it; then dumps of some levels failed on the 22nd,
// which its client may have recorded.
PlanDle with_failed(Strategy strategy, int last_level, std::initializer_list<int> failed) {
  PlanDle dle = known(last_level, "20261110010000");
  dle.strategy = strategy;
  for (int level = 1; level <= last_level; ++level)
    dle.records[level].timestamp = "202611" + std::to_string(10 + level) + "010000";
  for (const int level : failed) dle.failed[level] = "20261122010000";
  return dle;
}

TEST(Failed, nothing_is_built_on_a_level_whose_later_dump_failed) {
  struct Case {
    const char* what;
    PlanDle dle;
    int level;
    Why why;
  };
  const auto incronly = [](int last, std::initializer_list<int> failed) {
    return with_failed(Strategy::incronly, last, failed);
  };
  const auto nofull = [](int last, std::initializer_list<int> failed) {
    return with_failed(Strategy::nofull, last, failed);
  };
  const Case cases[] = {
      {"a full, where one may be made",
       with(with_failed(Strategy::standard, 2, {0}), [](auto& d) { d.dumpcycle_days = 60; }), 0,
       Why::full_failed},
      {"a lower level, on a good full",
       with(with_failed(Strategy::standard, 2, {1}), [](auto& d) { d.dumpcycle_days = 60; }), 1,
       Why::base_failed},
      {"a lower level", incronly(2, {1}), 1, Why::base_failed},
      {"the level itself", incronly(2, {2}), 2, Why::incr_only},
      {"a full, past by the last level", incronly(2, {0}), 2, Why::incr_only},
      {"a full, past by level 2", incronly(1, {0}), 2, Why::past_failed},
      {"a full and level 1: no way", incronly(1, {0, 1}), 1, Why::on_failed},
      {"a full and level 1, past by level 3", incronly(2, {0, 1}), 3, Why::past_failed},
      {"a full and the last level", incronly(2, {0, 2}), 2, Why::incr_only},
      {"a full, level 1 gone", with(incronly(2, {0}), [](auto& d) { d.records[1].exists = false; }), 1,
       Why::on_failed},
      {"a full, no level 1", incronly(0, {0}), 1, Why::on_failed},
      {"a full, and level 1 made on it",
       with(incronly(1, {0}), [](auto& d) { d.records[1].timestamp = "20261122020000"; }), 1, Why::on_failed},
      {"a full, and a higher level made on it",
       with(incronly(3, {0}),
            [](auto& d) { d.records[2].timestamp = d.records[3].timestamp = "20261122020000"; }),
       2, Why::past_failed},
      {"a full, level 1 asked for", with(incronly(1, {0}), [](auto& d) { d.force_level_1 = true; }), 2,
       Why::past_failed},
      {"a full, another told of", with(incronly(2, {0}), [](auto& d) { d.force_full = true; }), 1,
       Why::incr_only},
      {"nofull: a full, past by level 2", nofull(1, {0}), 2, Why::past_failed},
      {"nofull: a full, past by level 2 of 3", nofull(3, {0}), 2, Why::past_failed},
      {"nofull: a full, bumped past", with(nofull(1, {0}), [](auto& d) { d.force_bump = true; }), 2,
       Why::bump_forced},
      {"nofull: a full, forced", with(nofull(1, {0}), [](auto& d) { d.force_full = true; }), 2,
       Why::past_failed},
      {"nofull: a full that was the first", with(nofull(1, {0}), [](auto& d) { d.records.erase(0); }), 2,
       Why::past_failed},
      {"nofull: nothing but a failed full",
       with(with(fresh(), [](auto& d) { d.strategy = Strategy::nofull; }),
            [](auto& d) { d.failed[0] = "20261122010000"; }),
       1, Why::on_failed},
      {"nofull: level 1", nofull(1, {1}), 1, Why::never_full},
      {"nofull: level 1, bump forced", with(nofull(1, {1}), [](auto& d) { d.force_bump = true; }), 1,
       Why::base_failed},
  };
  for (const auto& c : cases) {
    const auto decision = decide({kTonight, {c.dle}, {}}).at(0);
    EXPECT_EQ(decision.fate, Fate::dump) << c.what;
    const std::map<int, uint64_t> sizes = {{1, 1}, {2, 1}, {3, 1}};
    const auto choice = choose_incremental(c.dle, decision, sizes);
    EXPECT_EQ(decision.full ? 0 : choice->level, c.level) << c.what;
    EXPECT_EQ(decision.full ? decision.reason.why : choice->reason.why, c.why) << c.what;
  }
}

TEST(Failed, the_plan_says_what_a_restore_may_lack_and_the_way_out) {
  const auto warning = [](const PlanDle& dle) {
    Answer answer;
    answer.native_kib = {{0, 9000}, {1, 100}, {2, 50}};
    const auto plan = make_plan({kTonight, {dle}, {}}, std::vector{answer});
    EXPECT_EQ(plan.dumps.size(), 1U);
    EXPECT_EQ(plan.dumps[0].as.level, 1);
    EXPECT_THAT(plan.dumps[0].as.reason.sentence(), HasSubstr("restoring this dump may lack"));
    std::string text;
    for (const auto& note : plan.notes)
      if (note.warning) text += note.text;
    return text;
  };
  const auto incronly = warning(with_failed(Strategy::incronly, 0, {0}));
  EXPECT_THAT(incronly, HasSubstr("between 20261110010000, the last good full, and 20261122010000"));
  EXPECT_THAT(incronly, HasSubstr("tell it with \"headrace admin force\""));
  const auto nofull =
      warning(with(with_failed(Strategy::nofull, 0, {0}), [](auto& d) { d.records.clear(); }));
  EXPECT_THAT(nofull, HasSubstr("what changed until 20261122010000 and not since"));
  EXPECT_THAT(nofull, HasSubstr("strategy standard for one run"));
}
}  // namespace
}  // namespace headrace::plan
