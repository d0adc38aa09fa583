// What comes of the operator's wishes beside strategies and skip-full, skip-incr, as Amanda 3.5.1's planner
// decides, found out by running it on every combination; and of a wish to skip, which is Headrace's alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/plan/forecast.h"
#include "server/plan/levels.h"

namespace headrace::plan {
namespace {

using config::Strategy;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;

constexpr const char* kTonight = "20261123010000";
constexpr const char* kDue = "20261101010000";

enum Wish : unsigned char { none, force, level_1, bump, no_bump };

// A disk with every level up to `last_level` since its full, `wish` and one of the two skips.
PlanDle disk(Strategy strategy, int last_level, Wish wish, bool skip_full, bool skip_incr,
             const char* full = "20261120010000") {
  PlanDle dle{.host = "mill", .disk = "/srv"};
  dle.strategy = strategy;
  dle.dumpcycle_days = 7;
  dle.skip_full = skip_full;
  dle.skip_incr = skip_incr;
  dle.last_level = last_level;
  dle.last_level_runs = 1;
  if (last_level >= 0) dle.records[0] = {full, 5000, 5000};
  for (int level = 1; level <= last_level; ++level) dle.records[level] = {"20261122010000", 300, 300};
  dle.force_full = wish == force;
  dle.force_level_1 = wish == level_1;
  dle.force_bump = wish == bump;
  dle.force_no_bump = wish == no_bump;
  return dle;
}

// The level of tonight's dump, or the word for why it is skipped.
std::string outcome(const PlanDle& dle) {
  const auto decision = decide_one(dle, kTonight, 7);
  if (decision.fate != Fate::dump) return decision.word;
  if (decision.full) return "0";
  if (decision.fixed_level >= 0) return std::to_string(decision.fixed_level);
  return "at least " + std::to_string(decision.last_level);
}

TEST(Wishes, of_a_disk_that_makes_no_full) {
  const auto level = [](int last, Wish wish, bool skip_full = false, bool skip_incr = false) {
    return outcome(disk(Strategy::nofull, last, wish, skip_full, skip_incr));
  };
  for (const int last : {1, 2, 3}) {
    EXPECT_EQ(level(last, none), "1");
    EXPECT_EQ(level(last, force), std::to_string(last)) << "not a full, nor back to level 1";
    EXPECT_EQ(level(last, bump), "2") << "one above its usual level, whatever was last";
    EXPECT_EQ(level(last, no_bump), "1");
    EXPECT_EQ(level(last, level_1), "1");
    EXPECT_EQ(level(last, level_1, true), "skip-full") << "counts as a full that is due";
    EXPECT_EQ(level(last, force, true), std::to_string(last));
    EXPECT_EQ(level(last, bump, false, true), "skip-incr");
  }
  EXPECT_EQ(level(0, force), "1");
  EXPECT_EQ(level(0, bump), "1") << "there is no level 1 to build on";
}

TEST(Wishes, beside_skip_incr) {
  const auto level = [](Wish wish, const char* full) {
    return outcome(disk(Strategy::standard, 2, wish, false, true, full));
  };
  EXPECT_EQ(level(none, kTonight), "skip-incr");
  EXPECT_EQ(level(bump, kTonight), "skip-incr");
  EXPECT_EQ(level(no_bump, kTonight), "skip-incr");
  EXPECT_EQ(level(force, kTonight), "0");
  EXPECT_EQ(level(bump, kDue), "0") << "no incremental is made, so the full is";
  EXPECT_EQ(level(no_bump, kDue), "0");
  EXPECT_EQ(outcome(disk(Strategy::standard, 0, no_bump, false, true)), "skip-incr")
      << "though the same level again would be a full";
  EXPECT_EQ(level(level_1, kTonight), "1") << "it was asked for; Amanda loses the disk";
}

TEST(Wishes, beside_skip_full) {
  const auto level = [](Wish wish, const char* full, int last = 2) {
    return outcome(disk(Strategy::standard, last, wish, true, false, full));
  };
  EXPECT_EQ(level(force, kTonight), "skip-full");
  EXPECT_EQ(level(level_1, kTonight), "skip-full") << "counts as a full that is due";
  EXPECT_EQ(level(bump, kTonight), "3");
  EXPECT_EQ(level(no_bump, kTonight), "2");
  EXPECT_EQ(level(no_bump, kTonight, 0), "skip-full") << "it would be a full; Amanda loses the disk";
  EXPECT_EQ(level(bump, kDue), "skip-full");
  EXPECT_EQ(outcome(disk(Strategy::incronly, 2, level_1, true, false)), "skip-full");
  EXPECT_EQ(outcome(disk(Strategy::incronly, 2, force, true, false)), "1");
}

TEST(Wishes, an_incronly_disk_of_which_nobody_knows_a_full_fails) {
  for (const Wish wish : {none, level_1, bump, no_bump})
    EXPECT_THAT(outcome(disk(Strategy::incronly, -1, wish, false, true)),
                testing::StartsWith("strategy incronly"));
  EXPECT_EQ(outcome(disk(Strategy::incronly, -1, force, false, false)), "1")
      << "which tells of a full elsewhere";
}

TEST(Wishes, that_are_not_heeded_are_told) {
  const auto plan =
      make_plan({kTonight, {disk(Strategy::standard, 2, force, true, false)}, {}}, std::vector<Answer>(1));
  EXPECT_THAT(plan.notes, Contains(Field(&PlanNote::text, HasSubstr("not made, as skip-full forbids it"))));
}

TEST(Skip, leaves_a_disk_out_whatever_is_due) {
  for (const Wish wish : {none, force, level_1, bump, no_bump}) {
    auto dle = disk(Strategy::standard, 2, wish, false, false, wish == none ? kDue : kTonight);
    dle.skip_asked = true;
    const auto decision = decide_one(dle, kTonight, 7);
    EXPECT_EQ(decision.fate, Fate::skip);
    EXPECT_EQ(decision.word, kSkipAsked);
    EXPECT_EQ(decision.level, wish == none || wish == force ? 0 : 2);
    EXPECT_TRUE(decision.ask_levels.empty() && decision.client_levels.empty());
  }
  auto out = disk(Strategy::skip, 2, none, false, false);
  out.skip_asked = true;
  EXPECT_EQ(decide_one(out, kTonight, 7).fate, Fate::left_out) << "of no run";
}

TEST(Skip, says_by_what_and_is_over_the_next_night) {
  PlanInputs inputs{kTonight, {disk(Strategy::standard, 1, none, false, false, kDue)}, {}};
  inputs.dles[0].skip_asked = true;
  const std::vector<Answer> answers = {{.native_kib = {{0, 5000}, {1, 10}}}};
  const auto nights = foresee(inputs, answers, 2);
  ASSERT_EQ(nights[0].plan.skipped.size(), 1U);
  EXPECT_EQ(nights[0].plan.skipped[0].reason, kSkipAsked);
  EXPECT_THAT(nights[0].plan.notes, Contains(Field(&PlanNote::text, HasSubstr("headrace admin skip"))));
  ASSERT_EQ(nights[1].plan.dumps.size(), 1U);
  EXPECT_EQ(nights[1].plan.dumps[0].as.level, 0) << "what was due still is";
}

// Nor does a skip-full disk get a share of the fulls of a cycle, or a full made early.
TEST(SkipFull, takes_no_part_in_the_balance) {
  const auto plan_of = [](bool skip_full) {
    PlanInputs inputs{kTonight, {}, {.dumpcycle_days = 7}};
    for (int i = 0; i < 2; ++i)
      inputs.dles.push_back(disk(Strategy::standard, 1, none, skip_full, false, "20261120010000"));
    return make_plan(inputs, std::vector<Answer>(2, Answer{.native_kib = {{0, 7000}, {1, 10}}}));
  };
  EXPECT_EQ(plan_of(false).balanced_kib, 2000U);
  EXPECT_EQ(plan_of(false).dumps.at(0).as.level, 0);
  EXPECT_EQ(plan_of(true).balanced_kib, 0U);
  for (const auto& dump : plan_of(true).dumps) EXPECT_EQ(dump.as.level, 1);
}

TEST(SkipFull, is_followed_by_incrementals_until_the_next_full_is_due) {
  for (const int last_level : {-1, 1}) {
    PlanInputs inputs{kTonight, {disk(Strategy::standard, last_level, none, true, false, kDue)}, {}};
    const std::vector<Answer> answers = {{.native_kib = {{0, 5000}, {1, 10}}}};
    std::string nights;
    for (const auto& night : foresee(inputs, answers, 9))
      nights += night.plan.dumps.empty() ? "-" : std::to_string(night.plan.dumps[0].as.level);
    EXPECT_EQ(nights, "-111111-1");
  }
}

}  // namespace
}  // namespace headrace::plan
