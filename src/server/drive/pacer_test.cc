#include "server/drive/pacer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::drive {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

const std::vector<Pacer::Dumping> kFour{{1, 0}, {2, 0}, {3, 0}, {4, 0}};
constexpr Pacer::Writing kSlow{.holding_disk = 0, .kps = 20'000, .lowest_kps = 50'000, .starved = 0.6};
constexpr Pacer::Writing kFast{.holding_disk = 0, .kps = 60'000, .lowest_kps = 50'000, .starved = 0.1};

struct Paced {
  Pacer pacer;
  std::set<JobId> held;
  void samples(int count, Pacer::Writing writing, const std::vector<Pacer::Dumping>& dumping = kFour) {
    for (int i = 0; i < count; ++i) held = pacer.sample(std::vector{writing}, dumping);
  }
};

TEST(Pacer, a_drive_that_gets_enough_is_in_nobodys_way) {
  Paced paced;
  paced.samples(50, kFast);
  EXPECT_THAT(paced.held, IsEmpty());
}

TEST(Pacer, half_of_the_dumps_wait_for_one_that_gets_too_little_and_then_half_of_the_rest) {
  Paced paced;
  paced.samples(1, kSlow);
  EXPECT_THAT(paced.held, SizeIs(2));
  paced.samples(1, kSlow);
  EXPECT_THAT(paced.held, SizeIs(3));
  paced.samples(1, kSlow);
  EXPECT_THAT(paced.held, SizeIs(4));
}

TEST(Pacer, one_more_goes_on_after_some_seconds_of_enough) {
  Paced paced;
  paced.samples(2, kSlow);
  paced.samples(2, kFast);
  EXPECT_THAT(paced.held, SizeIs(3));
  paced.samples(1, kFast);
  EXPECT_THAT(paced.held, SizeIs(2));
  paced.samples(6, kFast);
  EXPECT_THAT(paced.held, IsEmpty());
}

TEST(Pacer, what_is_slow_for_another_reason_holds_nobody) {
  Paced paced;
  auto slow = kSlow;
  slow.starved = 0.01;
  paced.samples(30, slow);
  EXPECT_THAT(paced.held, IsEmpty());
  auto any = kSlow;
  any.lowest_kps = 0;
  paced.samples(30, any);
  EXPECT_THAT(paced.held, IsEmpty());
}

TEST(Pacer, dumps_to_other_holding_disks_go_on) {
  Paced paced;
  paced.samples(1, kSlow, {{1, 0}, {2, 1}, {3, 1}});
  EXPECT_EQ(paced.held, (std::set<JobId>{1}));
}

TEST(Pacer, they_wait_by_turns) {
  Paced paced;
  std::map<JobId, int> waited;
  paced.samples(1, kSlow);
  for (int i = 0; i < 80; ++i) {
    // Two may go on, never more: as soon as a third does, the drive gets too little.
    paced.samples(1, paced.held.size() < 2 ? kSlow : kFast);
    for (const JobId id : paced.held) ++waited[id];
  }
  ASSERT_THAT(waited, SizeIs(4));
  for (const auto& [id, samples] : waited) {
    EXPECT_GT(samples, 10) << id;
    EXPECT_LT(samples, 70) << id;
  }
}

TEST(Pacer, all_go_on_when_the_image_is_written) {
  Paced paced;
  paced.samples(3, kSlow);
  EXPECT_THAT(paced.pacer.sample({}, kFour), IsEmpty());
}

TEST(Pacer, holding_back_that_is_of_no_use_is_given_up_for_a_while) {
  Paced paced;
  paced.samples(22, kSlow);
  EXPECT_THAT(paced.held, IsEmpty());
  EXPECT_TRUE(paced.pacer.of_no_use());
  paced.samples(599, kSlow);
  EXPECT_THAT(paced.held, IsEmpty());
  paced.samples(2, kSlow);
  EXPECT_THAT(paced.held, SizeIs(2));
}

TEST(Pacer, those_that_come_and_go_are_counted) {
  Paced paced;
  paced.samples(1, kSlow);
  paced.samples(1, kFast, {{3, 0}, {4, 0}, {5, 0}});
  EXPECT_THAT(paced.held, SizeIs(1));
  paced.samples(1, kFast, {});
  EXPECT_THAT(paced.held, IsEmpty());
}

}  // namespace
}  // namespace headrace::drive
