// Where the sizes and rates of a plan come from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/plan/sizes.h"
#include "server/plan/test_support.h"

namespace headrace::plan {
namespace {

using config::EstimateMethod;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(MakePlan, a_size_by_a_later_method_says_so) {
  auto dle = known(1, "20261101010000");
  dle.estimate = {EstimateMethod::client, EstimateMethod::calcsize, EstimateMethod::server};
  Answer answer{.native_kib = {{0, 7000}, {1, -1}}, .trouble = "estimate calcsize: no such directory"};
  answer.other_method[0] = EstimateMethod::calcsize;
  answer.before[0] = "estimate client: tar failed";
  const auto plan = make_plan({kTonight, {dle}, {}}, std::vector<Answer>{answer});
  EXPECT_EQ(plan.dumps.at(0).as.source, EstimateSource::calcsize);
  EXPECT_EQ(plan.dumps.at(0).degraded.value().source, EstimateSource::history);
  EXPECT_THAT(
      plan.notes,
      ElementsAre(
          PlanNote{false,
                   "wolke:/srv: estimate client: tar failed; by estimate calcsize level 0 has 7000 KiB."},
          PlanNote{false,
                   "wolke:/srv: level 1: estimate calcsize: no such directory; expecting 300 "
                   "KiB as last time."}));
}

TEST(Sizes, the_server_goes_by_the_day_in_the_level) {
  auto dle = known(1);
  // Newest first. Days of stays at a level, from 0: 120 and 240 are of day 1, 110, 130, 5 and 90 of day 0.
  dle.history = {{1, 120},  {1, 110}, {0, 5100}, {1, 350}, {1, 240}, {1, 130},
                 {0, 4900}, {2, 7},   {2, 5},    {1, 90},  {0, 4800}};
  auto decision = decide({kTonight, {dle}, {}})[0];
  const auto size = [&](int level) { return size_from_history(dle, decision, level, 0).native_kib; };
  decision.last_runs = 0;
  EXPECT_EQ(size(1), (120U + 240U + 7U) / 3);
  decision.last_runs = 1;
  EXPECT_EQ(size(1), 350U);
  decision.last_runs = 9;
  EXPECT_EQ(size(1), 350U) << "the latest day there was";
  EXPECT_EQ(size(0), 5100U) << "the latest full";
  EXPECT_EQ(size(2), (110U + 130U + 5U + 90U) / 4) << "the first days after going up";
  EXPECT_EQ(size(7), 2500U) << "half of the last full, as a guess";
}

TEST(MakePlan, sizes_come_from_the_client_then_history_then_a_guess) {
  struct Case {
    const char* what;
    PlanDle dle;
    Answer answer;
    uint64_t native_kib;
    EstimateSource source;
    const char* note;
  };
  const auto by_server = [](PlanDle dle) {
    dle.estimate = {EstimateMethod::server};
    return dle;
  };
  const Case cases[] = {
      {"client", known(), {.native_kib = {{1, 77}}}, 77, EstimateSource::client, ""},
      {"client says 0", known(), {.native_kib = {{1, 0}}}, 0, EstimateSource::client, ""},
      {"calcsize",
       with(known(), [](auto& d) { d.estimate = {EstimateMethod::calcsize}; }),
       {.native_kib = {{1, 77}}},
       77,
       EstimateSource::calcsize,
       ""},
      {"no value",
       known(),
       {.native_kib = {{1, -1}}},
       300,
       EstimateSource::history,
       "wolke:/srv: the client gave no estimate; expecting 300 KiB as last time."},
      {"another level's value", known(), {.native_kib = {{0, 5}}}, 5, EstimateSource::client, ""},
      {"timeout",
       known(),
       {.trouble = "no estimate within 300 s"},
       300,
       EstimateSource::history,
       "no estimate within 300 s; expecting 300 KiB as last time"},
      {"first level 1", known(0), {}, 2500, EstimateSource::guess, "expecting 2500 KiB as a guess"},
      {"new disk", fresh(), {}, 1'000'000, EstimateSource::guess, "expecting 1000000 KiB as a guess"},
      {"server", by_server(known()), {}, 300, EstimateSource::history, ""},
      {"server, new",
       by_server(fresh()),
       {},
       1'000'000,
       EstimateSource::guess,
       "nothing is known of its size"},
      {"absurd",
       known(),
       {.native_kib = {{1, INT64_MAX}}},
       300,
       EstimateSource::history,
       "9223372036854775807 KiB at level 1, more than any disk holds"},
      {"as large as can be",
       known(),
       {.native_kib = {{1, int64_t{1} << 50}}},
       uint64_t{1} << 50,
       EstimateSource::client,
       ""},
      {"absurd below 0",
       known(),
       {.native_kib = {{1, INT64_MIN}}},
       300,
       EstimateSource::history,
       "the client gave no estimate"},
      {"one level missing, server next",
       with(known(), [](auto& d) { d.estimate = {EstimateMethod::client, EstimateMethod::server}; }),
       {.native_kib = {{0, 5000}, {1, -1}}},
       300,
       EstimateSource::history,
       "wolke:/srv: the client gave no estimate of level 1; expecting 300 KiB as last time."},
  };
  for (const auto& c : cases) {
    const auto plan = make_plan({kTonight, {c.dle}, {}}, std::vector{c.answer});
    ASSERT_EQ(plan.dumps.size(), 1U) << c.what;
    EXPECT_EQ(plan.dumps[0].as.native_kib, c.native_kib) << c.what;
    EXPECT_EQ(plan.dumps[0].as.source, c.source) << c.what;
    std::string notes;
    for (const auto& note : plan.notes)
      if (!note.text.starts_with("Adding")) notes += note.text;
    if (*c.note == '\0')
      EXPECT_EQ(notes, "") << c.what;
    else
      EXPECT_THAT(notes, HasSubstr(c.note)) << c.what;
  }
}

TEST(MakePlan, stored_size_and_rate_use_what_was_measured) {
  auto dle = known();
  const auto planned = [&dle] {
    return make_plan({kTonight, {dle}, {}}, std::vector<Answer>{{.native_kib = {{1, 1001}}}}).dumps.at(0).as;
  };
  EXPECT_EQ(planned().stored_kib, 1001U);
  EXPECT_EQ(planned().kps, 1024U);
  dle.compresses = true;
  EXPECT_EQ(planned().stored_kib, 500U);
  dle.incr_ratios = {0.1};
  dle.full_ratios = {0.9};
  EXPECT_EQ(planned().stored_kib, 100U);
  dle.incr_ratios = {77};
  EXPECT_EQ(planned().stored_kib, 1101U);
  dle.incr_rates = {3000, 1000};
  EXPECT_EQ(planned().kps, 2200U);
}

TEST(Decide, the_methods_say_what_the_client_is_asked) {
  using enum EstimateMethod;
  const auto of = [](PlanDle dle, std::vector<EstimateMethod> methods) {
    dle.estimate = std::move(methods);
    return decide({kTonight, {dle}, {}})[0];
  };
  EXPECT_EQ(of(known(), {server}).method, server);
  EXPECT_THAT(of(known(), {server}).client_levels, IsEmpty());
  EXPECT_THAT(of(fresh(), {server}).client_levels, IsEmpty()) << "nobody else was named";
  EXPECT_EQ(of(known(), {client, calcsize, server}).method, client);
  EXPECT_THAT(of(known(), {client, calcsize, server}).client_levels, ElementsAre(0, 1));
  EXPECT_EQ(of(known(), {calcsize, client}).method, calcsize);
  EXPECT_THAT(of(known(), {server, client}).client_levels, IsEmpty()) << "history knows";
  EXPECT_EQ(of(known(), {server, client}).method, server);
  EXPECT_THAT(of(fresh(), {server, calcsize}).client_levels, ElementsAre(0)) << "history does not";
  EXPECT_EQ(of(fresh(), {server, calcsize}).method, calcsize);
}

TEST(WeightedMean, weighs_the_newest_most) {
  EXPECT_EQ(weighted_mean({}), 0);
  EXPECT_EQ(weighted_mean(std::vector<double>{7}), 7);
  EXPECT_EQ(weighted_mean(std::vector<double>{6, 3}), 24.0 / 5);
  EXPECT_EQ(weighted_mean(std::vector<double>{6, 3, 0, 999}), 4);
}
}  // namespace
}  // namespace headrace::plan
