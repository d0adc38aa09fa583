// What the plan makes of input that is wrong or no longer true: defined in doc/planning.md, "Bad input".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/plan/levels.h"

namespace headrace::plan {
namespace {

using config::EstimateMethod;
using config::Strategy;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

constexpr const char* kTonight = "20261123010000";
constexpr const char* kAhead = "20271123010000";

PlanDle disk(int last_level, const char* full = "20261120010000") {
  PlanDle dle{.host = "mill", .disk = "/srv"};
  dle.dumpcycle_days = 7;
  dle.last_level = last_level;
  dle.last_level_runs = 5;
  if (last_level >= 0) dle.records[0] = {full, 100'000, 100'000};
  for (int level = 1; level <= last_level; ++level) dle.records[level] = {"20261122010000", 50'000, 50'000};
  return dle;
}
Plan plan_of(const PlanDle& dle, std::map<int, int64_t> native_kib = {{0, 9}, {1, 9}, {2, 9}, {3, 9}}) {
  return make_plan({kTonight, {dle}, {}}, std::vector<Answer>{{.native_kib = std::move(native_kib)}});
}
auto says(const char* text) { return Contains(Field(&PlanNote::text, HasSubstr(text))); }

TEST(ClockWasWrong, nothing_builds_on_an_incremental_from_the_future) {
  auto dle = disk(2);
  dle.records[1].timestamp = kAhead;
  auto plan = plan_of(dle);
  ASSERT_EQ(plan.dumps.size(), 1U);
  EXPECT_EQ(plan.dumps[0].as.level, 1);
  EXPECT_EQ(plan.dumps[0].as.reason.why, Why::base_misdated);
  EXPECT_EQ(plan.dumps[0].as.reason.level, 1);
  EXPECT_THAT(plan.notes, says("mill:/srv: the last level 1 is dated after tonight"));
  dle.force_bump = true;
  EXPECT_EQ(plan_of(dle).dumps.at(0).as.level, 1) << "whatever is asked for";
}

TEST(ClockWasWrong, the_last_level_is_made_again_and_not_gone_on_from) {
  auto dle = disk(1);
  dle.records[1].timestamp = kAhead;
  EXPECT_THAT(decide_one(dle, kTonight, 7).ask_levels, ElementsAre(0, 1)) << "but for its date, 2 as well";
  EXPECT_EQ(plan_of(dle).dumps.at(0).as.level, 1);
  EXPECT_EQ(plan_of(dle).dumps.at(0).as.base_timestamp, "20261120010000");
  dle.records[1].timestamp = "20261123230000";
  EXPECT_THAT(decide_one(dle, kTonight, 7).ask_levels, ElementsAre(0, 1, 2)) << "hours are a time zone's";
}

TEST(Estimates, that_are_missing_zero_or_absurd) {
  const auto due = disk(1, "20261101010000");
  struct Case {
    const char* what;
    std::map<int, int64_t> kib;
    int level;
    uint64_t native_kib;
    const char* note;
  };
  const Case cases[] = {
      {"none came in time", {}, 0, 100'000, "the client gave no estimate; expecting 100000 KiB as last time"},
      {"a full of nothing", {{0, 0}, {1, 50}}, 1, 50, ""},
      {"nothing but nothing", {{0, 0}}, 0, 0, ""},
      {"more than any disk holds", {{0, int64_t{1} << 61}, {1, 50}}, 1, 50, "more than any disk holds"},
      {"impossible", {{0, -2}, {1, 50}}, 1, 50, ""},
  };
  for (const auto& c : cases) {
    const auto plan = plan_of(due, c.kib);
    ASSERT_EQ(plan.dumps.size(), 1U) << c.what;
    EXPECT_EQ(plan.dumps[0].as.level, c.level) << c.what;
    EXPECT_EQ(plan.dumps[0].as.native_kib, c.native_kib) << c.what;
    if (*c.note != '\0') EXPECT_THAT(plan.notes, says(c.note)) << c.what;
  }
}

TEST(Renamed, a_new_disk_is_told_what_its_host_had) {
  auto dle = disk(-1);
  dle.former = {{"/old", "20261120010000", "V-001"}, {"/held", "20261121010000", ""}};
  const auto plan = plan_of(dle);
  EXPECT_EQ(plan.dumps.at(0).as.level, 0);
  EXPECT_THAT(plan.notes,
              says("mill:/srv: if this is mill:/old, which the disklist names no more: its full of "
                   "20261120010000 stays on V-001 until that volume is written again"));
  EXPECT_THAT(plan.notes,
              says("mill:/held, which the disklist names no more: its full of 20261121010000 stays on "
                   "holding disk until it is flushed"));
}

TEST(Catalog, of_a_dump_that_the_record_lacks_is_told) {
  auto dle = disk(1);
  dle.unrecorded = "20261122010000";
  const auto plan = plan_of(dle);
  EXPECT_THAT(plan.notes,
              Contains(PlanNote{true,
                                "mill:/srv: its record does not know the dump of 20261122010000 that the "
                                "catalog has; going by the catalog."}));
}

// What was made under the old configuration counts; what is made tonight goes by the new one.
TEST(Configuration, changed_between_runs) {
  struct Case {
    const char* what;
    PlanDle dle;
    int level;
    Why why;
  };
  const auto with = [](PlanDle dle, auto change) {
    change(dle);
    return dle;
  };
  const Case cases[] = {
      {"dumpcycle shortened", with(disk(1), [](auto& d) { d.dumpcycle_days = 2; }), 0, Why::full_due},
      {"dumpcycle lengthened", with(disk(1, "20261110010000"), [](auto& d) { d.dumpcycle_days = 30; }), 1,
       Why::incremental},
      {"standard to nofull", with(disk(3), [](auto& d) { d.strategy = Strategy::nofull; }), 1,
       Why::never_full},
      {"nofull to standard", with(disk(1), [](auto& d) { d.records.erase(0); }), 0, Why::first_full},
      {"standard to noinc", with(disk(2), [](auto& d) { d.strategy = Strategy::noinc; }), 0,
       Why::always_full},
      {"noinc to standard", disk(0), 1, Why::incremental},
      {"standard to incronly",
       with(disk(2, "20261001010000"), [](auto& d) { d.strategy = Strategy::incronly; }), 2, Why::incr_only},
  };
  for (const auto& c : cases) {
    auto dle = c.dle;
    dle.last_level_runs = 1;
    const auto plan = plan_of(dle);
    ASSERT_EQ(plan.dumps.size(), 1U) << c.what;
    EXPECT_EQ(plan.dumps[0].as.level, c.level) << c.what;
    EXPECT_EQ(plan.dumps[0].as.reason.why, c.why) << c.what << ": " << plan.dumps[0].as.reason.sentence();
  }
}

TEST(Configuration, compression_turned_on_is_expected_to_save_what_comprate_says) {
  auto dle = disk(0);
  dle.compresses = true;
  dle.comprate_incr = 0.25;
  EXPECT_EQ(plan_of(dle, {{0, 9000}, {1, 1000}}).dumps.at(0).as.stored_kib, 250U);
}

}  // namespace
}  // namespace headrace::plan
