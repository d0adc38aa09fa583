#include "server/drive/night_forecast.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace headrace::drive {
namespace {

// A night whose forecast is the same with rates that miss: all dumps miss alike when there is one of them, so
// what is compared here leaves room for a few parts of a hundred.
struct Night {
  std::vector<Job> waiting;
  std::vector<Job> running = {};
  uint64_t held_kib = 0;
  int64_t in_parallel = 4;
  uint64_t volume_kps = 0;
  size_t writers = 1;
  bool has_holding = true;
  MeasuredTogether together = {};

  double seconds(std::vector<uint32_t> order = {}) const {
    NightRest rest{.held_kib = held_kib,
                   .in_parallel = in_parallel,
                   .volume_kps = volume_kps,
                   .writers = writers,
                   .has_holding = has_holding,
                   .together = &together};
    for (const auto& job : waiting) rest.waiting.push_back(&job);
    for (const auto& job : running) rest.running.push_back(&job);
    if (order.empty()) {
      order.resize(waiting.size());
      std::iota(order.begin(), order.end(), 0);
    }
    return NightForecast(rest).seconds(order, std::numeric_limits<double>::infinity());
  }
};

Job lasting(JobId id, std::string host, uint64_t seconds) {
  return {
      .id = id, .host = std::move(host), .est_stored_kib = 100 * seconds, .max_dumps = 10, .own_kps = 100};
}

// What rates that miss by up to a quarter may add or take.
constexpr double kMiss = 0.34;
void expect_about(double seconds, double expected) { EXPECT_NEAR(seconds, expected, expected * kMiss); }

TEST(NightForecast, dumps_go_on_beside_each_other_as_far_as_limits_allow) {
  Night night{{lasting(1, "a", 100), lasting(2, "a", 100), lasting(3, "b", 100), lasting(4, "b", 100)}};
  expect_about(night.seconds(), 100);
  night.in_parallel = 2;
  expect_about(night.seconds(), 200);
  night.in_parallel = 4;
  for (auto& job : night.waiting) job.max_dumps = 1;
  expect_about(night.seconds(), 200);
}

TEST(NightForecast, one_dump_of_a_spindle_at_a_time) {
  Night night{{lasting(1, "a", 100), lasting(2, "a", 100), lasting(3, "a", 100)}};
  for (auto& job : night.waiting) job.spindle = 0;
  expect_about(night.seconds(), 300);
  night.waiting[0].spindle = 1;
  expect_about(night.seconds(), 200);
}

TEST(NightForecast, dumps_of_a_host_share_what_it_brought_together) {
  Night night{{lasting(1, "a", 100), lasting(2, "a", 100)}};
  night.together.host_kps["a"] = 100;
  expect_about(night.seconds(), 200);
  // What is measured of one dump alone is never less.
  night.together.host_kps["a"] = 10;
  expect_about(night.seconds(), 200);
}

TEST(NightForecast, what_a_small_one_does_not_use_the_others_get) {
  Night night{{lasting(1, "a", 100), lasting(2, "a", 100), lasting(3, "a", 100)}};
  night.waiting[2].own_kps = 20;
  night.waiting[2].est_stored_kib = 20 * 150;
  night.together.host_kps["a"] = 160;
  // 70 KiB/s for each of the fast ones.
  expect_about(night.seconds(), 150);
}

TEST(NightForecast, all_dumps_share_what_all_brought) {
  Night night{{lasting(1, "a", 100), lasting(2, "b", 100), lasting(3, "c", 100), lasting(4, "d", 100)}};
  night.together.kps = 200;
  expect_about(night.seconds(), 200);
}

TEST(NightForecast, dumps_that_bring_just_what_is_shared_end) {
  Night night;
  for (JobId id = 1; id <= 9; ++id) {
    night.waiting.push_back(lasting(id, "a", 10 * id));
    night.waiting.back().own_kps = 10 + id * 7 % 5;
  }
  uint64_t sum = 0;
  for (const auto& job : night.waiting) sum += job.own_kps;
  night.in_parallel = 9;
  for (uint64_t more = 0; more < 5; ++more) {
    night.together = {.host_kps = {{"a", sum - 2 + more}}, .kps = sum - 2 + more};
    EXPECT_GT(night.seconds(), 0);
  }
}

TEST(NightForecast, a_writer_takes_one_image_after_the_other_when_it_is_there) {
  Night night{{lasting(1, "a", 100), lasting(2, "b", 100)}};
  night.volume_kps = 100;
  expect_about(night.seconds(), 300);
  night.held_kib = 100 * 500;
  expect_about(night.seconds(), 700);
  night.volume_kps = 200;
  night.writers = 2;
  night.held_kib = 0;
  expect_about(night.seconds(), 200);
}

TEST(NightForecast, what_goes_straight_to_a_volume_waits_for_a_writer) {
  Night night{{lasting(1, "a", 100), lasting(2, "b", 100), lasting(3, "c", 100)}};
  night.has_holding = false;
  night.volume_kps = 1000;
  expect_about(night.seconds(), 300);
  night.writers = 3;
  expect_about(night.seconds(), 100);
}

TEST(NightForecast, of_what_runs_half_is_left) {
  expect_about(Night{{}, {lasting(1, "a", 100)}}.seconds(), 50);
}

TEST(NightForecast, the_order_matters) {
  Night night{{lasting(1, "a", 10), lasting(2, "b", 10), lasting(3, "c", 100)}};
  night.in_parallel = 2;
  EXPECT_LT(night.seconds({2, 0, 1}), night.seconds({0, 1, 2}));
}

}  // namespace
}  // namespace headrace::drive
