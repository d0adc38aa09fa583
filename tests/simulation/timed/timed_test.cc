#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fluid.h"
#include "timed_nights.h"

namespace headrace::timed {
namespace {

using testing::DoubleNear;

std::vector<double> rates(const std::vector<double>& capacities, const std::vector<Flow>& flows) {
  std::vector<double> kps;
  for (const auto& it : share(capacities, flows)) kps.push_back(it.kps);
  return kps;
}

TEST(Fluid, flows_share_a_joint_alike) {
  EXPECT_EQ(rates({90}, {{{0}, 1000}, {{0}, 1000}, {{0}, 1000}}), (std::vector<double>{30, 30, 30}));
}

TEST(Fluid, what_one_cannot_use_the_others_get) {
  EXPECT_EQ(rates({90}, {{{0}, 10}, {{0}, 1000}, {{0}, 1000}}), (std::vector<double>{10, 40, 40}));
}

TEST(Fluid, the_narrowest_joint_of_each_counts) {
  const auto shares = share({30, 100}, {{{0, 1}, 1000}, {{1}, 1000}, {{}, 7}});
  EXPECT_EQ(shares[0].kps, 30);
  EXPECT_EQ(shares[0].held_by, 0U);
  EXPECT_EQ(shares[1].kps, 70);
  EXPECT_EQ(shares[1].held_by, 1U);
  EXPECT_EQ(shares[2].kps, 7);
  EXPECT_EQ(shares[2].held_by, kAlone);
}

double hours(const std::vector<NightResult>& nights) {
  double seconds = 0;
  for (const auto& night : nights) seconds += night.seconds;
  return seconds / 3600;
}

TEST(TimedNights, none_ends_before_it_can) {
  for (const auto narrow : kNarrows) {
    for (const double holding : {2.0, 0.3}) {
      const auto site = draw_site(5, 20, narrow, holding, 7);
      SCOPED_TRACE(site.name);
      for (const auto order : kOrders) {
        for (const auto& night : play(site, {.order = order}, 5, 3)) {
          EXPECT_LE(night.bound_seconds, night.seconds * 1.0001) << night.bound_by;
          EXPECT_GT(night.dumps, 0U);
          EXPECT_EQ(night.not_dumped, 0U);
        }
      }
    }
  }
}

TEST(TimedNights, a_dump_alone_takes_its_own_time_and_its_images) {
  Site site = draw_site(1, 1, Narrow::even, 2, 1);
  site.disks[0].daily_change = 0;
  for (const auto& night : play(site, {.order = Order::measured}, 10, 1)) {
    ASSERT_EQ(night.dumps, 1U);
    // Incrementals are next to nothing: then only the volume is waited for.
    if (night.seconds > 600) EXPECT_THAT(night.seconds, DoubleNear(night.bound_seconds, 1));
  }
}

TEST(TimedNights, the_same_seed_gives_the_same_nights) {
  const auto site = draw_site(3, 12, Narrow::even, 1, 5);
  EXPECT_EQ(hours(play(site, {.order = Order::measured}, 5, 1)),
            hours(play(site, {.order = Order::measured}, 5, 1)));
  EXPECT_NE(hours(play(site, {.order = Order::measured}, 5, 1)),
            hours(play(site, {.order = Order::measured}, 5, 2)));
}

// What makes it the default.
TEST(TimedNights, by_measured_rates_nights_end_sooner) {
  double measured = 0;
  double scheduled = 0;
  double amanda = 0;
  for (unsigned seed = 1; seed <= 2; ++seed) {
    for (const auto narrow : kNarrows) {
      const auto site = draw_site(10, 30, narrow, 2, seed);
      measured += hours(play(site, {.order = Order::measured}, 5, seed));
      scheduled += hours(play(site, {.order = Order::schedule}, 5, seed));
      amanda += hours(play(site, {.order = Order::amanda}, 5, seed));
    }
  }
  EXPECT_LT(measured, scheduled);
  EXPECT_LT(measured, 0.95 * amanda);
}

TEST(TimedNights, a_search_with_foresight_ends_no_later) {
  const auto site = draw_site(3, 9, Narrow::volume, 2, 2);
  const double measured = hours(play(site, {.order = Order::measured}, 5, 1));
  const double searched = hours(play(site, {.order = Order::searched, .tries = 30}, 5, 1));
  EXPECT_LE(searched, measured * 1.0001);
}

TEST(TimedNights, paced_drives_stop_less_and_the_night_is_hardly_longer) {
  auto site = draw_site(10, 50, Narrow::holding, 2, 1);
  site.server.drive_kps = site.server.holding_kps;
  site.server.lowest_kps = site.server.holding_kps / 2;
  double stops[2] = {};
  double ends[2] = {};
  for (const bool paced : {false, true}) {
    const auto nights = play(site, {.order = Order::measured, .paced = paced}, 10, 1);
    for (const auto& night : nights) stops[paced] += night.drive_stops;
    ends[paced] = hours(nights);
  }
  EXPECT_GT(stops[false], 50);
  EXPECT_LT(stops[true], stops[false] / 3);
  EXPECT_LT(ends[true], ends[false] * 1.05);
}

}  // namespace
}  // namespace headrace::timed
