#include "server/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/plan/levels.h"
#include "server/plan/test_support.h"

namespace headrace::plan {
namespace {

using config::EstimateMethod;
using config::Strategy;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Decide, the_level_follows_from_history_and_wishes) {
  struct Case {
    const char* what;
    PlanDle dle;
    Fate fate;
    int level;
    Why why;
    const char* word = "";
  };
  const Case cases[] = {
      {"new", fresh(), Fate::dump, 0, Why::first_full},
      {"after a full", known(0), Fate::dump, 1, Why::incremental},
      {"after level 1", known(1), Fate::dump, 1, Why::incremental},
      {"after level 3", known(3), Fate::dump, 3, Why::incremental},
      {"due today", known(1, "20261116125959"), Fate::dump, 0, Why::full_due},
      {"due tomorrow", known(1, "20261116130001"), Fate::dump, 1, Why::incremental},
      {"overdue", known(1, "20261101010000"), Fate::dump, 0, Why::full_due},
      {"dumpcycle 0", with(known(), [](auto& d) { d.dumpcycle_days = 0; }), Fate::dump, 0, Why::full_due},
      {"forced", with(known(), [](auto& d) { d.force_full = true; }), Fate::dump, 0, Why::full_forced},
      {"full lost", with(known(), [](auto& d) { d.records[0].exists = false; }), Fate::dump, 0,
       Why::full_lost},
      {"full unknown", with(known(), [](auto& d) { d.records.erase(0); }), Fate::dump, 0, Why::first_full},
      {"level 1 of 3 lost", with(known(3), [](auto& d) { d.records[1].exists = false; }), Fate::dump, 1,
       Why::base_lost},
      {"level 3 of 3 lost", with(known(3), [](auto& d) { d.records[3].exists = false; }), Fate::dump, 3,
       Why::incremental},
      {"level 1 forced", with(known(3), [](auto& d) { d.force_level_1 = true; }), Fate::dump, 1,
       Why::level_1_forced},
      {"level 1 forced, new", with(fresh(), [](auto& d) { d.force_level_1 = true; }), Fate::dump, 0,
       Why::first_full},
      {"bump forced", with(known(2), [](auto& d) { d.force_bump = true; }), Fate::dump, 3, Why::bump_forced},
      {"bump forced, due", with(known(2, "20261101010000"), [](auto& d) { d.force_bump = true; }), Fate::dump,
       3, Why::bump_forced},
      {"no bump forced", with(known(2), [](auto& d) { d.force_no_bump = true; }), Fate::dump, 2,
       Why::no_bump_forced},
      {"highest level", with(known(399), [](auto& d) { d.force_bump = true; }), Fate::dump, 399,
       Why::bump_forced},
      {"noinc", with(known(), [](auto& d) { d.strategy = Strategy::noinc; }), Fate::dump, 0,
       Why::always_full},
      {"nofull", with(known(), [](auto& d) { d.strategy = Strategy::nofull; }), Fate::dump, 1,
       Why::never_full},
      {"nofull, new", with(fresh(), [](auto& d) { d.strategy = Strategy::nofull; }), Fate::dump, 1,
       Why::never_full},
      {"nofull, forced",
       with(fresh(),
            [](auto& d) {
              d.strategy = Strategy::nofull;
              d.force_full = true;
            }),
       Fate::dump, 1, Why::never_full},
      {"nofull, skip-incr",
       with(fresh(),
            [](auto& d) {
              d.strategy = Strategy::nofull;
              d.skip_incr = true;
            }),
       Fate::skip, 1, Why::first_full, "skip-incr"},
      {"incronly", with(known(2, "20200101010000"), [](auto& d) { d.strategy = Strategy::incronly; }),
       Fate::dump, 2, Why::incr_only},
      {"incronly, no full", with(fresh(), [](auto& d) { d.strategy = Strategy::incronly; }), Fate::fail, 1,
       Why::first_full, "strategy incronly needs a full dump"},
      {"incronly, forced",
       with(known(2),
            [](auto& d) {
              d.strategy = Strategy::incronly;
              d.force_full = true;
            }),
       Fate::dump, 1, Why::incr_only},
      {"hanoi", with(known(), [](auto& d) { d.strategy = Strategy::hanoi; }), Fate::dump, 1,
       Why::incremental},
      {"strategy skip", with(known(), [](auto& d) { d.strategy = Strategy::skip; }), Fate::left_out, 0,
       Why::first_full, "strategy skip"},
      {"ignore", with(known(), [](auto& d) { d.ignore = true; }), Fate::left_out, 0, Why::first_full,
       "ignore"},
      {"dump-limit", with(known(), [](auto& d) { d.dump_limited = true; }), Fate::left_out, 0,
       Why::first_full, "dump-limit"},
      {"skip-full, due", with(known(1, "20261101010000"), [](auto& d) { d.skip_full = true; }), Fate::skip, 0,
       Why::first_full, "skip-full"},
      {"skip-full, not due", with(known(), [](auto& d) { d.skip_full = true; }), Fate::dump, 1,
       Why::incremental},
      {"skip-full, forced",
       with(known(),
            [](auto& d) {
              d.skip_full = true;
              d.force_full = true;
            }),
       Fate::skip, 0, Why::first_full, "skip-full"},
      {"skip-incr, due", with(known(1, "20261101010000"), [](auto& d) { d.skip_incr = true; }), Fate::dump, 0,
       Why::full_due},
      {"skip-incr, not due", with(known(2), [](auto& d) { d.skip_incr = true; }), Fate::skip, 2,
       Why::first_full, "skip-incr"},
  };
  for (const auto& c : cases) {
    const auto decision = decide({kTonight, {c.dle}, {}}).at(0);
    EXPECT_EQ(decision.fate, c.fate) << c.what;
    if (c.fate != Fate::dump) {
      EXPECT_EQ(decision.level, c.level) << c.what;
      EXPECT_THAT(decision.word, testing::StartsWith(c.word)) << c.what;
      EXPECT_THAT(decision.ask_levels, IsEmpty()) << c.what;
      continue;
    }
    // With sizes that give no cause to change the level.
    Answer answer;
    for (const int level : decision.ask_levels) answer.native_kib[level] = 10;
    const auto plan = make_plan({kTonight, {c.dle}, {}}, std::vector{answer});
    ASSERT_EQ(plan.dumps.size(), 1U) << c.what;
    EXPECT_EQ(plan.dumps[0].as.level, c.level) << c.what;
    EXPECT_EQ(plan.dumps[0].as.reason.why, c.why) << c.what << ": " << plan.dumps[0].as.reason.sentence();
  }
}

TEST(Decide, reasons_are_sentences_with_figures) {
  EXPECT_EQ(decide({kTonight, {known(1, "20261116010000")}, {}})[0].reason.sentence(),
            "a full is due today (dumpcycle)");
  EXPECT_EQ(decide({kTonight, {known(1, "20261115010000")}, {}})[0].reason.sentence(),
            "a full is overdue by 1 day (dumpcycle)");
  EXPECT_EQ(decide({kTonight, {known()}, {}})[0].reason.sentence(),
            "a full is not due for 4 days (dumpcycle)");
  for (int why = 0; why <= static_cast<int>(Why::delayed); ++why)
    EXPECT_NE((Reason{static_cast<Why>(why)}).sentence(), "");
}

TEST(MakePlan, an_incremental_builds_on_the_level_below) {
  const auto base = [](const PlanDle& dle) {
    return make_plan({kTonight, {dle}, {}}, std::vector<Answer>(1)).dumps.at(0).as.base_timestamp;
  };
  auto dle = known(3);
  dle.records[2].timestamp = "20261121010000";
  EXPECT_EQ(base(dle), "20261121010000");
  EXPECT_EQ(base(known(0)), "20261120010000");
  EXPECT_EQ(base(fresh()), "");
}

TEST(MakePlan, a_wish_for_the_next_level_leaves_an_overdue_disk_urgent) {
  const auto priority = [](auto&& wish) {
    auto dle = known(1, "20261111010000");  // 12 days ago, 5 overdue
    wish(dle);
    return make_plan({kTonight, {dle}, {}}, std::vector<Answer>(1)).dumps.at(0).priority;
  };
  EXPECT_EQ(priority([](auto&) {}), 1 + 5);
  EXPECT_EQ(priority([](auto& d) { d.force_bump = true; }), 1 + 5);
  EXPECT_EQ(priority([](auto& d) { d.force_level_1 = true; }), 1);
}

TEST(MakePlan, a_forced_full_is_overdue_by_the_configurations_dumpcycle) {
  for (const auto strategy : {Strategy::standard, Strategy::noinc}) {
    auto dle = known();
    dle.strategy = strategy;
    dle.force_full = true;
    const auto priority = [&dle](int64_t disks, int64_t configurations) {
      dle.dumpcycle_days = disks;
      const PlanInputs inputs{kTonight, {dle}, {.dumpcycle_days = configurations}};
      return make_plan(inputs, std::vector<Answer>(1)).dumps.at(0).priority;
    };
    EXPECT_EQ(priority(0, 5), 1 + 5);
    EXPECT_EQ(priority(14, 5), 1 + 5);
    EXPECT_EQ(priority(14, 0), 1 + 1);
  }
}

TEST(MakePlan, a_full_from_the_future_is_made_again) {
  const auto planned = [](const char* full) {
    return make_plan({kTonight, {known(1, full)}, {}},
                     std::vector<Answer>{{.native_kib = {{0, 5000}, {1, 10}}}});
  };
  const auto plan = planned("20310101010000");
  EXPECT_EQ(plan.dumps.at(0).as.level, 0);
  ASSERT_EQ(plan.notes.size(), 1U);
  EXPECT_TRUE(plan.notes[0].warning);
  EXPECT_THAT(plan.notes[0].text,
              HasSubstr("wolke:/srv: its last full is dated 20310101010000, after tonight"));
  const auto tomorrow = planned("20261124010000");
  EXPECT_EQ(tomorrow.dumps.at(0).as.level, 1) << "a day may be a matter of time zones";
  EXPECT_THAT(tomorrow.notes, IsEmpty());
}

TEST(Decide, asks_for_the_sizes_that_decide) {
  const auto asked = [](const PlanDle& dle) { return decide({kTonight, {dle}, {}}).at(0).ask_levels; };
  const auto long_at = [](int level, uint64_t kib) {
    auto dle = known(level);
    dle.last_level_runs = 5;
    dle.records[level].native_kib = kib;
    return dle;
  };
  EXPECT_THAT(asked(fresh()), ElementsAre(0));
  EXPECT_THAT(asked(known(0)), ElementsAre(0, 1));
  EXPECT_THAT(asked(known(1)), ElementsAre(0, 1));
  EXPECT_THAT(asked(long_at(1, 300)), ElementsAre(0, 1)) << "below bumpsize nothing can be saved";
  EXPECT_THAT(asked(long_at(1, 20'000)), ElementsAre(0, 1, 2));
  EXPECT_THAT(asked(long_at(2, 15'361)), ElementsAre(0, 2, 3));
  EXPECT_THAT(asked(long_at(2, 15'360)), ElementsAre(0, 2)) << "bumpmult";
  EXPECT_THAT(asked(with(long_at(1, 20'000), [](auto& d) { d.last_level_runs = 1; })), ElementsAre(0, 1))
      << "bumpdays";
  EXPECT_THAT(asked(with(long_at(1, 20'000), [](auto& d) { d.bump_percent = 50; })), ElementsAre(0, 1, 2))
      << "half of the full of 5000 KiB";
  EXPECT_THAT(asked(with(known(2), [](auto& d) { d.force_bump = true; })), ElementsAre(3));
  EXPECT_THAT(asked(with(known(2), [](auto& d) { d.skip_full = true; })), ElementsAre(2));
  EXPECT_THAT(asked(with(known(2), [](auto& d) { d.force_level_1 = true; })), ElementsAre(1));
  EXPECT_THAT(asked(with(long_at(2, 90'000), [](auto& d) { d.force_no_bump = true; })), ElementsAre(0, 2));
  EXPECT_THAT(asked(with(known(), [](auto& d) { d.strategy = Strategy::noinc; })), ElementsAre(0));
  EXPECT_THAT(asked(with(known(), [](auto& d) { d.strategy = Strategy::nofull; })), ElementsAre(1));
  const auto overwritten = with(long_at(3, 90'000), [](auto& d) { d.records[1].overwritten_in_runs = 1; });
  EXPECT_THAT(asked(overwritten), ElementsAre(0, 1)) << "tonight's volume takes the level 1 away";
}

TEST(MakePlan, the_next_level_is_taken_when_it_saves_enough) {
  struct Case {
    const char* what;
    std::map<int, int64_t> kib;
    int runs;
    int level;
    Why why;
  };
  // Half of a full of 100,000 KiB; 1.5 times as much for each level.
  const Case cases[] = {
      {"small", {{0, 100'000}, {1, 50'000}, {2, 0}}, 9, 1, Why::incremental},
      {"saves too little", {{0, 100'000}, {1, 60'000}, {2, 10'001}}, 9, 1, Why::not_bumped},
      {"saves enough", {{0, 100'000}, {1, 60'000}, {2, 10'000}}, 9, 2, Why::bumped},
      {"too early", {{0, 100'000}, {1, 60'000}, {2, 10'000}}, 1, 1, Why::too_early},
      {"a percentage of what is expected now", {{0, 130'000}, {1, 60'000}, {2, 0}}, 9, 1, Why::incremental},
      {"only the next has a size", {{0, 100'000}, {1, -1}, {2, 10}}, 9, 2, Why::incremental},
      {"the next has none", {{0, 100'000}, {1, 60'000}, {2, -2}}, 9, 1, Why::incremental},
      {"only a full has one", {{0, 100'000}, {1, -1}, {2, -1}}, 9, 0, Why::no_incremental_size},
  };
  for (const auto& c : cases) {
    auto dle = known(1);
    dle.bump_percent = 50;
    dle.last_level_runs = c.runs;
    dle.records[1].native_kib = 60'000;
    const auto plan = make_plan({kTonight, {dle}, {}}, std::vector<Answer>{{.native_kib = c.kib}});
    ASSERT_EQ(plan.dumps.size(), 1U) << c.what;
    EXPECT_EQ(plan.dumps[0].as.level, c.level) << c.what;
    EXPECT_EQ(plan.dumps[0].as.reason.why, c.why) << c.what << ": " << plan.dumps[0].as.reason.sentence();
  }
}

TEST(MakePlan, a_full_knows_its_incremental) {
  const auto planned = [](PlanDle dle, std::map<int, int64_t> kib) {
    return make_plan({kTonight, {dle}, {}}, std::vector<Answer>{{.native_kib = std::move(kib)}}).dumps.at(0);
  };
  const auto due = known(1, "20261101010000");
  const auto full = planned(due, {{0, 5000}, {1, 70}});
  EXPECT_EQ(full.as.level, 0);
  ASSERT_TRUE(full.degraded);
  EXPECT_EQ(full.degraded->level, 1);
  EXPECT_EQ(full.degraded->native_kib, 70U);
  const auto unknown = planned(due, {{0, -1}, {1, 70}});
  EXPECT_EQ(unknown.as.level, 1) << "its full has no size";
  EXPECT_EQ(unknown.as.reason.why, Why::no_full_size);
  EXPECT_EQ(planned(due, {{0, 5000}, {1, -1}}).not_degraded, "no estimate of an incremental");
  EXPECT_EQ(planned(with(due, [](auto& d) { d.skip_incr = true; }), {{0, 5000}, {1, 7}}).not_degraded,
            "skip-incr");
  EXPECT_EQ(planned(fresh(), {{0, 5000}}).not_degraded, "new disk");
  EXPECT_EQ(planned(with(due, [](auto& d) { d.force_full = true; }), {{0, 5000}}).not_degraded,
            "forced full");
  EXPECT_EQ(planned(with(due, [](auto& d) { d.strategy = Strategy::noinc; }), {{0, 5000}}).not_degraded,
            "strategy noinc");
}

TEST(Days, are_rounded_to_the_nearest) {
  EXPECT_EQ(days_between("20261122230000", "20261123105959"), 0);
  EXPECT_EQ(days_between("20261122230000", "20261123110001"), 1);
  EXPECT_EQ(days_between("20261122110001", "20261123230000"), 1);
  EXPECT_EQ(days_between("20240228", "20240301"), 2);
  EXPECT_EQ(days_between("20261123", "20261122"), -1);
  for (const char* bad : {"", "2026", "20261323", "20260230", "2026112x", "00000000"})
    EXPECT_EQ(days_between(bad, kTonight), 0) << bad;
}

TEST(MakePlan, a_refusal_fails_the_disk_alone) {
  const auto plan =
      make_plan({kTonight, {known(), known()}, {}},
                std::vector<Answer>{{.refusal = "[no such directory]"}, {.native_kib = {{1, 5}}}});
  ASSERT_EQ(plan.failed.size(), 1U);
  EXPECT_EQ(plan.failed[0].dle, 0U);
  EXPECT_EQ(plan.failed[0].level, 1);
  EXPECT_EQ(plan.failed[0].reason, "[no such directory]");
  ASSERT_EQ(plan.dumps.size(), 1U);
  EXPECT_EQ(plan.dumps[0].dle, 1U);
}

TEST(MakePlan, a_refusal_counts_though_no_estimate_was_asked) {
  auto dle = known();
  dle.estimate = {EstimateMethod::server};
  const auto plan = make_plan({kTonight, {dle}, {}}, std::vector<Answer>{{.refusal = "the client is down"}});
  EXPECT_EQ(plan.failed.size(), 1U);
  EXPECT_THAT(plan.dumps, IsEmpty());
}

TEST(MakePlan, every_disk_is_told_apart) {
  auto skipped = known();
  skipped.skip_incr = true;
  auto ignored = known();
  ignored.ignore = true;
  auto impossible = fresh();
  impossible.strategy = Strategy::incronly;
  const auto plan =
      make_plan({kTonight, {skipped, ignored, impossible, known()}, {}}, std::vector<Answer>(4));
  EXPECT_EQ(plan.skipped.size(), 1U);
  EXPECT_EQ(plan.left_out.size(), 1U);
  EXPECT_EQ(plan.failed.size(), 1U);
  EXPECT_EQ(plan.dumps.size(), 1U);
}

TEST(MakePlan, order_is_priority_then_size) {
  std::vector<PlanDle> dles = {known(), known(), known(1, "20261116010000"), known(1, "20261115010000"),
                               known()};
  dles[4].priority = 2;
  const std::vector<Answer> answers = {{.native_kib = {{1, 10}}},
                                       {.native_kib = {{1, 9000}}},
                                       {.native_kib = {{0, 20}}},
                                       {.native_kib = {{0, 5}}},
                                       {.native_kib = {{1, 1}}}};
  const auto plan = make_plan({kTonight, dles, {}}, answers);
  std::vector<size_t> order;
  for (const auto& dump : plan.dumps) order.push_back(dump.dle);
  // 3 is overdue by a day, which raises it to the priority of 4.
  EXPECT_THAT(order, ElementsAre(3, 4, 1, 2, 0));
  EXPECT_EQ(plan.total_stored_kib, 9036U);
}

TEST(MakePlan, warns_of_what_will_not_fit) {
  struct Case {
    const char* what;
    Capacity capacity;
    const char* warning;
    config::Holding holding = config::Holding::automatic;
  };
  const Case cases[] = {
      {"fits", {.volume_kib = 2000}, ""},
      {"no length known", {}, ""},
      {"required holding",
       {.holding_kib = 999},
       "which it requires, have 999 KiB",
       config::Holding::required},
      {"tapecycle", {.volumes = 1, .tapecycle = 3, .runspercycle = 7}, "tapecycle (3) <= runspercycle (7)"},
  };
  for (const auto& c : cases) {
    auto dle = known();
    dle.holding = c.holding;
    const auto plan =
        make_plan({kTonight, {dle}, c.capacity}, std::vector<Answer>{{.native_kib = {{1, 1000}}}});
    ASSERT_EQ(plan.dumps.size(), 1U) << c.what;
    std::string warnings;
    for (const auto& note : plan.notes) warnings += note.text + "\n";
    if (*c.warning == '\0')
      EXPECT_EQ(warnings, "") << c.what;
    else
      EXPECT_THAT(warnings, HasSubstr(c.warning)) << c.what;
  }
}

TEST(MakePlan, tells_of_new_forced_and_lost) {
  auto forced = known();
  forced.force_full = true;
  auto lost = known();
  lost.records[0].exists = false;
  lost.force_level_1 = true;
  const auto plan =
      make_plan({kTonight, {fresh(), forced, lost}, {}}, std::vector<Answer>(3, Answer{{{0, 1}}}));
  EXPECT_THAT(plan.notes,
              ElementsAre(PlanNote{false, "Adding new disk wolke:/srv."},
                          PlanNote{false, "Forcing full dump of wolke:/srv as directed."},
                          PlanNote{true,
                                   "wolke:/srv: the last full dump is gone (its volume was overwritten "
                                   "or removed)."},
                          PlanNote{true,
                                   "wolke:/srv: the level asked for needs a full dump first; making "
                                   "that."}));
}

}  // namespace
}  // namespace headrace::plan
