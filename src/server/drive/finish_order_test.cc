#include "server/drive/finish_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::drive {
namespace {

using testing::ElementsAre;

// `seconds` of a dump that measured 100 KiB/s.
Job lasting(JobId id, std::string host, uint64_t seconds) {
  return {
      .id = id, .host = std::move(host), .est_stored_kib = 100 * seconds, .max_dumps = 10, .own_kps = 100};
}

struct Night {
  std::vector<Job> waiting;
  std::vector<Job> running = {};
  uint64_t held_kib = 0;
  int64_t in_parallel = 4;
  uint64_t volume_kps = 0;

  std::vector<JobId> order() const {
    NightRest rest{.held_kib = held_kib, .in_parallel = in_parallel, .volume_kps = volume_kps};
    for (const auto& job : waiting) rest.waiting.push_back(&job);
    for (const auto& job : running) rest.running.push_back(&job);
    return finish_order(rest);
  }
};

TEST(FinishOrder, the_longest_first) {
  EXPECT_THAT((Night{{lasting(1, "a", 10), lasting(2, "b", 30), lasting(3, "c", 20)}}.order()),
              ElementsAre(2, 3, 1));
}

TEST(FinishOrder, what_was_measured_counts_not_what_is_largest) {
  auto slow = lasting(1, "a", 10);
  auto fast = lasting(2, "b", 10);
  fast.est_stored_kib *= 5;
  fast.own_kps = 1000;
  EXPECT_THAT((Night{{fast, slow}}.order()), ElementsAre(1, 2));
}

TEST(FinishOrder, without_measurements_the_rates_of_the_info_files_count) {
  auto measured = lasting(1, "a", 10);
  auto recorded = lasting(2, "b", 20);
  recorded.own_kps = 0;
  recorded.est_kps = 100;
  auto unknown = lasting(3, "c", 1);
  unknown.own_kps = 0;
  unknown.est_stored_kib = 15 * kUnknownKps;
  EXPECT_THAT((Night{{measured, recorded, unknown}}.order()), ElementsAre(2, 3, 1));
}

TEST(FinishOrder, a_host_with_much_to_do_goes_before_a_longer_dump_of_another) {
  auto first = lasting(1, "busy", 20);
  auto second = lasting(2, "busy", 21);
  first.max_dumps = second.max_dumps = 1;
  const auto other = lasting(3, "idle", 30);
  EXPECT_THAT((Night{{other, first, second}}.order()), ElementsAre(2, 1, 3));
  first.max_dumps = second.max_dumps = 2;
  EXPECT_THAT((Night{{other, first, second}}.order()), ElementsAre(3, 2, 1));
}

TEST(FinishOrder, so_does_a_spindle) {
  auto first = lasting(1, "a", 20);
  auto second = lasting(2, "a", 20);
  first.spindle = second.spindle = 0;
  EXPECT_THAT((Night{{lasting(3, "b", 30), first, second}}.order()), ElementsAre(1, 2, 3));
}

TEST(FinishOrder, what_runs_still_counts_for_its_host) {
  auto waiting = lasting(1, "a", 20);
  waiting.max_dumps = 1;
  auto running = lasting(2, "a", 60);
  running.max_dumps = 1;
  const auto other = lasting(3, "b", 40);
  EXPECT_THAT((Night{{other, waiting}}.order()), ElementsAre(3, 1));
  EXPECT_THAT((Night{{other, waiting}, {running}}.order()), ElementsAre(1, 3));
}

TEST(FinishOrder, no_priority_goes_before_a_higher_one) {
  auto important = lasting(1, "a", 1);
  important.priority = 2;
  EXPECT_THAT((Night{{lasting(2, "b", 100), important}}.order()), ElementsAre(1, 2));
}

TEST(FinishOrder, volumes_that_take_longest_of_all_are_fed_by_what_comes_in_fastest) {
  auto fast = lasting(1, "a", 10);
  fast.own_kps = 1000;
  Night night{{lasting(2, "b", 100), fast}};
  night.volume_kps = 10'000;  // writes all of it in no time
  EXPECT_THAT(night.order(), ElementsAre(2, 1));
  night.volume_kps = 50;
  EXPECT_THAT(night.order(), ElementsAre(1, 2));
  night.held_kib = 50 * 101;  // they have enough to write until the long one comes
  EXPECT_THAT(night.order(), ElementsAre(2, 1));
}

TEST(FinishOrder, equals_stay_as_scheduled) {
  EXPECT_THAT((Night{{lasting(7, "a", 5), lasting(3, "b", 5), lasting(5, "c", 5)}}.order()),
              ElementsAre(7, 3, 5));
}

}  // namespace
}  // namespace headrace::drive
