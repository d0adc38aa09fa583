#include "server/drive/finish_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "server/drive/rest_bench.h"

namespace headrace::drive {
namespace {

using testing::ElementsAre;

using Night = PlayedRest;

std::vector<JobId> order_of(const Night& night) { return finish_order(night.rest()).ids; }

TEST(FinishOrder, the_longest_first) {
  EXPECT_THAT(order_of(Night{{lasting(1, "a", 10), lasting(2, "b", 30), lasting(3, "c", 20)}}),
              ElementsAre(2, 3, 1));
}

TEST(FinishOrder, what_was_measured_counts_not_what_is_largest) {
  auto slow = lasting(1, "a", 10);
  auto fast = lasting(2, "b", 10);
  fast.est_stored_kib *= 5;
  fast.own_kps = 1000;
  EXPECT_THAT((order_of(Night{{fast, slow}})), ElementsAre(1, 2));
}

TEST(FinishOrder, without_measurements_the_rates_of_the_info_files_count) {
  auto measured = lasting(1, "a", 10);
  auto recorded = lasting(2, "b", 20);
  recorded.own_kps = 0;
  recorded.est_kps = 100;
  auto unknown = lasting(3, "c", 1);
  unknown.own_kps = 0;
  unknown.est_stored_kib = 15 * kUnknownKps;
  EXPECT_THAT((order_of(Night{{measured, recorded, unknown}})), ElementsAre(2, 3, 1));
}

TEST(FinishOrder, a_host_with_much_to_do_goes_before_a_longer_dump_of_another) {
  auto first = lasting(1, "busy", 20);
  auto second = lasting(2, "busy", 21);
  first.max_dumps = second.max_dumps = 1;
  const auto other = lasting(3, "idle", 30);
  EXPECT_THAT((order_of(Night{{other, first, second}})), ElementsAre(2, 1, 3));
  first.max_dumps = second.max_dumps = 2;
  EXPECT_THAT((order_of(Night{{other, first, second}})), ElementsAre(3, 2, 1));
}

TEST(FinishOrder, so_does_a_spindle) {
  auto first = lasting(1, "a", 20);
  auto second = lasting(2, "a", 20);
  first.spindle = second.spindle = 0;
  EXPECT_THAT((order_of(Night{{lasting(3, "b", 30), first, second}})), ElementsAre(1, 2, 3));
}

TEST(FinishOrder, what_runs_still_counts_for_its_host) {
  auto waiting = lasting(1, "a", 20);
  waiting.max_dumps = 1;
  auto running = lasting(2, "a", 60);
  running.max_dumps = 1;
  const auto other = lasting(3, "b", 40);
  EXPECT_THAT((order_of(Night{{other, waiting}})), ElementsAre(3, 1));
  EXPECT_THAT((order_of(Night{{other, waiting}, {running}})), ElementsAre(1, 3));
}

TEST(FinishOrder, no_priority_goes_before_a_higher_one) {
  auto important = lasting(1, "a", 1);
  important.priority = 2;
  EXPECT_THAT((order_of(Night{{lasting(2, "b", 100), important}})), ElementsAre(1, 2));
}

TEST(FinishOrder, volumes_that_take_longest_of_all_are_fed_first) {
  // One dump at a time, and a drive that takes as long as the dumps: the short one first, so that it begins.
  Night night{{lasting(1, "a", 100), lasting(2, "b", 10), lasting(3, "c", 50)}};
  night.in_parallel = 1;
  night.volume_kps = 10'000;  // writes all of it in no time
  EXPECT_THAT(order_of(night), ElementsAre(1, 3, 2));
  night.volume_kps = 50;
  EXPECT_THAT(order_of(night), ElementsAre(2, 3, 1));
  night.held_kib = 50 * 200;  // they have enough to write until the long one comes
  EXPECT_THAT(order_of(night), ElementsAre(1, 3, 2));
}

TEST(FinishOrder, a_host_whose_dumps_share_little_is_not_left_for_the_end) {
  Night night{{lasting(1, "a", 40), lasting(2, "b", 40), lasting(3, "narrow", 20), lasting(4, "narrow", 20),
               lasting(5, "narrow", 20)}};
  night.in_parallel = 2;
  // These take as long as one after the other, for which there is time only beside both others.
  night.together = {.host_kps = {{"narrow", 100}}, .kps = 1000};
  const auto order = order_of(night);
  EXPECT_TRUE(order[0] >= 3 || order[1] >= 3);
}

TEST(FinishOrder, without_knowing_what_dumps_share_there_is_no_forecast) {
  Night night{{lasting(1, "a", 100), lasting(2, "b", 10)}};
  EXPECT_FALSE(finish_order(night.rest()).forecast);
  night.together.kps = 1000;
  EXPECT_TRUE(finish_order(night.rest()).forecast);
  for (auto& job : night.waiting) job.own_kps = 0;
  EXPECT_FALSE(finish_order(night.rest()).forecast);
}

TEST(FinishOrder, a_search_keeps_priorities_and_loses_none) {
  Night night;
  for (JobId id = 1; id <= 40; ++id) {
    night.waiting.push_back(lasting(id, id % 3 == 0 ? "a" : "b", 10 + id * 37 % 50));
    night.waiting.back().priority = static_cast<int64_t>(id % 2);
    night.waiting.back().max_dumps = 2;
  }
  night.together.kps = 350;
  night.volume_kps = 200;
  night.order_so_far = {3, 99, 1};
  const auto found = finish_order(night.rest());
  ASSERT_TRUE(found.forecast);
  EXPECT_EQ(std::set<JobId>(found.ids.begin(), found.ids.end()).size(), 40U);
  EXPECT_TRUE(std::ranges::is_sorted(found.ids, std::greater(), [](JobId id) { return id % 2; }));
  EXPECT_EQ(found.ids, finish_order(night.rest()).ids);
}

TEST(FinishOrder, equals_stay_as_scheduled) {
  EXPECT_THAT(order_of(Night{{lasting(7, "a", 5), lasting(3, "b", 5), lasting(5, "c", 5)}}),
              ElementsAre(7, 3, 5));
}

}  // namespace
}  // namespace headrace::drive
