#include "server/drive/together_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace headrace::drive {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr uint64_t kKib = 1024;

class Meter : public testing::Test {
 protected:
  void at(int second, std::vector<TogetherMeter::Moving> dumps) {
    meter_.sample(base::Instant(seconds(second)), dumps);
  }
  TogetherMeter meter_;
};

TEST_F(Meter, counts_what_two_or_more_brought_in_ten_seconds) {
  at(0, {{1, "a", 1, 0}, {2, "a", 1, 5 * kKib}, {3, "b", 1, 0}});
  at(5, {{1, "a", 1, 100 * kKib}, {2, "a", 1, 100 * kKib}, {3, "b", 1, 100 * kKib}});
  EXPECT_EQ(meter_.most(0).kps, 0U);
  at(10, {{1, "a", 1, 100 * kKib}, {2, "a", 1, 205 * kKib}, {3, "b", 1, 500 * kKib}});
  EXPECT_EQ(meter_.most(0).kps, 80U);
  EXPECT_THAT(meter_.most(10'000).host_kps, ElementsAre(Pair("a", 30)));
}

TEST_F(Meter, a_dump_alone_says_nothing) {
  at(0, {{1, "a", 1, 0}});
  at(10, {{1, "a", 1, 500 * kKib}, {2, "a", 1, 500 * kKib}});
  EXPECT_EQ(meter_.most(0).kps, 0U);
  EXPECT_THAT(meter_.most(0).host_kps, IsEmpty());
}

TEST_F(Meter, an_attempt_that_began_meanwhile_does_not_count) {
  at(0, {{1, "a", 1, 900 * kKib}, {2, "a", 1, 0}});
  at(10, {{1, "a", 2, 950 * kKib}, {2, "a", 1, 100 * kKib}});
  EXPECT_EQ(meter_.most(0).kps, 0U);
}

TEST_F(Meter, the_most_stays) {
  at(0, {{1, "a", 1, 0}, {2, "b", 1, 0}});
  at(10, {{1, "a", 1, 400 * kKib}, {2, "b", 1, 400 * kKib}});
  at(20, {{1, "a", 1, 401 * kKib}, {2, "b", 1, 401 * kKib}});
  EXPECT_EQ(meter_.most(0).kps, 80U);
}

TEST(TogetherSpans, a_host_held_up_by_what_all_share_is_not_measured) {
  TogetherSpans spans;
  spans.add({1000, 9}, {{"a", {100, 2}}});
  EXPECT_THAT(spans.most(0).host_kps, IsEmpty());
  spans.add({500, 5}, {{"a", {80, 2}}, {"b", {70, 1}}});
  EXPECT_THAT(spans.most(0).host_kps, ElementsAre(Pair("a", 80)));
  EXPECT_THAT(spans.most(400).host_kps, ElementsAre(Pair("a", 80)));
  // Earlier runs brought more: then neither was near it.
  EXPECT_THAT(spans.most(5000).host_kps, ElementsAre(Pair("a", 100)));
}

}  // namespace
}  // namespace headrace::drive
