#include "server/drive/night_forecast.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "server/drive/rest_bench.h"

namespace headrace::drive {
namespace {

constexpr double kMean = std::numeric_limits<double>::infinity();
// Less than any: the first of the nights, in which all goes as expected, is enough.
constexpr double kExpected = 0;

std::vector<uint32_t> as_scheduled(const PlayedRest& night) {
  std::vector<uint32_t> order(night.waiting.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

void expect_seconds(const PlayedRest& night, double expected) {
  EXPECT_NEAR(NightForecast(night.rest()).seconds(as_scheduled(night), kExpected), expected, 1e-3);
}

TEST(NightForecast, dumps_go_on_beside_each_other_as_far_as_limits_allow) {
  PlayedRest night{{lasting(1, "a", 100), lasting(2, "a", 100), lasting(3, "b", 100), lasting(4, "b", 100)}};
  expect_seconds(night, 100);
  night.in_parallel = 2;
  expect_seconds(night, 200);
  night.in_parallel = 4;
  for (auto& job : night.waiting) job.max_dumps = 1;
  expect_seconds(night, 200);
}

TEST(NightForecast, one_dump_of_a_spindle_at_a_time) {
  PlayedRest night{{lasting(1, "a", 100), lasting(2, "a", 100), lasting(3, "a", 100)}};
  for (auto& job : night.waiting) job.spindle = 0;
  expect_seconds(night, 300);
  night.waiting[0].spindle = 1;
  expect_seconds(night, 200);
}

TEST(NightForecast, dumps_of_a_host_share_what_it_brought_together) {
  PlayedRest night{{lasting(1, "a", 100), lasting(2, "a", 100)}};
  night.together.host_kps["a"] = 160;
  expect_seconds(night, 125);
  // What is measured of one dump alone is never less.
  night.together.host_kps["a"] = 10;
  expect_seconds(night, 200);
}

TEST(NightForecast, what_a_small_one_does_not_use_the_others_get) {
  PlayedRest night{{lasting(1, "a", 100), lasting(2, "a", 100), lasting(3, "a", 100)}};
  night.waiting[2].own_kps = 20;
  night.waiting[2].est_stored_kib = 20 * 200;
  night.together.host_kps["a"] = 160;
  // 70 KiB/s for each of the fast ones; the slow one goes on when they have ended.
  expect_seconds(night, 200);
  night.waiting[2].est_stored_kib = 20 * 10;
  // 20 to 10 seconds, then 80 for each: 700 KiB at 70, 9,300 at 80.
  expect_seconds(night, 10 + 9300.0 / 80);
}

TEST(NightForecast, all_dumps_share_what_all_brought) {
  PlayedRest night{{lasting(1, "a", 100), lasting(2, "b", 100), lasting(3, "c", 100), lasting(4, "d", 100)}};
  night.together.kps = 250;
  expect_seconds(night, 160);
  night.waiting[0].own_kps = 10;
  night.waiting[0].est_stored_kib = 10 * 50;
  // 80 for each of the fast ones beside the slow one, to 50 seconds; then a third of all: 6,000 KiB at 83.3.
  expect_seconds(night, 50 + 6000 / (250.0 / 3));
}

TEST(NightForecast, dumps_that_bring_just_what_is_shared_end) {
  PlayedRest night;
  uint64_t sum = 0;
  for (JobId id = 1; id <= 9; ++id) {
    night.waiting.push_back(lasting(id, "a", 10));
    night.waiting.back().own_kps = 10 + id * 7 % 5;
    night.waiting.back().est_stored_kib = 10 * night.waiting.back().own_kps;
    sum += night.waiting.back().own_kps;
  }
  night.in_parallel = 9;
  night.together = {.host_kps = {{"a", sum}}, .kps = sum};
  expect_seconds(night, 10);
}

TEST(NightForecast, a_writer_takes_one_image_after_the_other_when_it_is_there) {
  PlayedRest night{{lasting(1, "a", 100), lasting(2, "b", 100), lasting(3, "c", 100)}};
  night.volume_kps = 100;
  expect_seconds(night, 100 + 300);
  night.held_kib = 100 * 500;
  expect_seconds(night, 500 + 300);
  // Two take two at a time, each at half the rate of both; the third has one for itself.
  night.volume_kps = 200;
  night.writers = 2;
  night.held_kib = 0;
  expect_seconds(night, 100 + 100 + 100);
}

TEST(NightForecast, what_goes_straight_to_a_volume_waits_for_a_writer) {
  PlayedRest night{{lasting(1, "a", 100), lasting(2, "b", 100), lasting(3, "c", 100)}};
  night.has_holding = false;
  night.volume_kps = 1000;
  expect_seconds(night, 300);
  night.writers = 3;
  expect_seconds(night, 100);
}

TEST(NightForecast, of_what_runs_half_is_left) { expect_seconds({{}, {lasting(1, "a", 100)}}, 50); }

TEST(NightForecast, the_order_matters) {
  PlayedRest night{{lasting(1, "a", 10), lasting(2, "b", 10), lasting(3, "c", 100)}};
  night.in_parallel = 2;
  NightForecast forecast(night.rest());
  EXPECT_DOUBLE_EQ(forecast.seconds(std::vector<uint32_t>{2, 0, 1}, kExpected), 100);
  EXPECT_DOUBLE_EQ(forecast.seconds(std::vector<uint32_t>{0, 1, 2}, kExpected), 110);
}

TEST(NightForecast, the_mean_is_of_nights_that_go_otherwise_and_the_same_each_time) {
  const PlayedRest night{{lasting(1, "a", 100), lasting(2, "b", 100), lasting(3, "c", 100)}};
  const auto order = as_scheduled(night);
  const double mean = NightForecast(night.rest()).seconds(order, kMean);
  // The longest of three that miss by up to a quarter takes longer than each is expected to.
  EXPECT_GT(mean, 100);
  EXPECT_LT(mean, 100 / 0.75);
  EXPECT_EQ(NightForecast(night.rest()).seconds(order, kMean), mean);
}

TEST(NightForecast, an_order_that_is_clearly_worse_costs_one_night) {
  const PlayedRest night{{lasting(1, "a", 100), lasting(2, "b", 100)}};
  NightForecast all(night.rest());
  NightForecast one(night.rest());
  all.seconds(as_scheduled(night), kMean);
  one.seconds(as_scheduled(night), 50);
  EXPECT_GT(all.steps_taken(), 3 * one.steps_taken());
}

}  // namespace
}  // namespace headrace::drive
