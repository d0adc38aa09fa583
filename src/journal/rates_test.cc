#include "journal/rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "base/file.h"

namespace headrace::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const ImageId kImage{"wolke", "/srv", "20261123010000", 0};

TEST(Rates, a_dump_that_its_client_held_up_has_the_rate_it_had) {
  const Joint holding{.name = "holding write", .bytes = 10240, .starved_ms = 900, .busy_ms = 100};
  const auto rate = rate_of_dump(kImage, 1000, 10, std::vector{holding});
  EXPECT_EQ(rate.own_kps, 100U);
  EXPECT_TRUE(rate.full);
  EXPECT_EQ(rate.run, "20261123010000");
  EXPECT_THAT(rate.joints, ElementsAre(JointRate{"holding write", 10, 100}));
}

TEST(Rates, time_in_which_the_server_held_it_up_does_not_count) {
  const Joint receive{.name = "server receive",
                      .bytes = 10240,
                      .starved_ms = 100,
                      .blocked_ms = 500,
                      .gated_ms = 200,
                      .throttled_ms = 100,
                      .busy_ms = 100};
  const Joint client{.name = "archive", .bytes = 10240, .starved_ms = 500, .busy_ms = 500};
  const Joint holding{.name = "holding write", .bytes = 5120, .starved_ms = 0, .busy_ms = 1000};
  // 2 of 10 seconds.
  EXPECT_EQ(rate_of_dump(kImage, 1000, 10, std::vector{client, receive, holding}).own_kps, 500U);
}

TEST(Rates, nothing_is_known_of_what_was_always_held_up) {
  const Joint holding{.name = "holding write", .bytes = 10240, .blocked_ms = 1000};
  EXPECT_EQ(rate_of_dump(kImage, 1000, 10, std::vector{holding}).own_kps, 0U);
  EXPECT_EQ(rate_of_dump(kImage, 1000, 10, std::vector<Joint>{}).own_kps, 0U);
  EXPECT_EQ(rate_of_dump(kImage, 1000, 10, std::vector{Joint{.name = "holding write"}}).own_kps, 0U);
}

TEST(Rates, of_a_volume_without_the_time_it_waited) {
  const Joint write{
      .name = "volume write", .bytes = 1, .starved_ms = 9000, .blocked_ms = 700, .busy_ms = 300};
  const auto rate = rate_of_write("tapes", "20261123010000", 100 * 1024, std::vector{write});
  EXPECT_EQ(rate.kps, 100U);
  EXPECT_EQ(rate_of_write("tapes", "", 1024, std::vector<Joint>{}).kps, 0U);
}

TEST(Rates, what_dumps_brought_together_falls_slowly) {
  Rates rates;
  rates.add(TogetherRate{"wolke", "1", 6400});
  rates.add(TogetherRate{"", "1", 9000});
  rates.add(TogetherRate{"wolke", "2", 100});
  EXPECT_THAT(rates.together, ElementsAre(TogetherRate{"", "1", 9000}, TogetherRate{"wolke", "2", 6300}));
  rates.add(TogetherRate{"wolke", "3", 7000});
  EXPECT_EQ(rates.together[1].kps, 7000U);
  EXPECT_EQ(Rates::parse(rates.text(), "rates")->together, rates.together);
}

TEST(Rates, a_file_from_before_these_were_measured_is_read) {
  EXPECT_THAT(Rates::parse(R"({"format": 1, "disks": [], "volumes": []})", "rates")->together,
              testing::IsEmpty());
}

TEST(Rates, the_newest_counts_half) {
  Rates rates;
  rates.add({"b", "/", true, "1", 100, {{"holding write", 100, 0}}});
  rates.add({"a", "/", true, "1", 50});
  rates.add({"b", "/", false, "1", 10});
  rates.add({"b", "/", true, "2", 200, {{"holding write", 300, 40}, {"server compress", 7, 7}}});
  ASSERT_NE(rates.of("b", "/", true), nullptr);
  const DiskRate expected{"b", "/", true, "2", 150, {{"holding write", 200, 40}, {"server compress", 7, 7}}};
  EXPECT_EQ(*rates.of("b", "/", true), expected);
  EXPECT_EQ(rates.of("b", "/", false)->own_kps, 10U);
  EXPECT_EQ(rates.of("a", "/", true)->own_kps, 50U);
  EXPECT_EQ(rates.of("a", "/", false), nullptr);
  // A run that could not tell changes nothing.
  rates.add({"a", "/", true, "2", 0});
  EXPECT_EQ(rates.of("a", "/", true)->own_kps, 50U);
  rates.add(VolumeRate{"tapes", "1", 100});
  rates.add(VolumeRate{"tapes", "2", 300});
  EXPECT_EQ(rates.of("tapes")->kps, 200U);
  EXPECT_EQ(rates.of("others"), nullptr);
}

TEST(Rates, text_and_back) {
  Rates rates;
  rates.add({"wolke", "/srv \xff", true, "20261123010000", 100, {{"holding write", 100, 5}}});
  rates.add(VolumeRate{"tapes", "20261123010000", 7});
  const auto again = Rates::parse(rates.text(), "rates");
  ASSERT_TRUE(again) << again.error().what();
  EXPECT_EQ(again->disks, rates.disks);
  EXPECT_EQ(again->volumes, rates.volumes);
}

TEST(Rates, what_is_no_such_file_is_said_with_the_way_out) {
  for (const char* text : {"", "[]", "{", R"({"format": 2})", R"({"format": 1, "disks": 7})",
                           R"({"format": 1, "disks": [{"own_kps": -1}]})"}) {
    const auto rates = Rates::parse(text, "/log/rates");
    ASSERT_FALSE(rates) << text;
    EXPECT_THAT(rates.error().what(), HasSubstr("/log/rates: "));
    EXPECT_THAT(rates.error().what(), HasSubstr("may be removed"));
  }
}

class RatesFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "rates.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    logdir = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(logdir); }
  std::filesystem::path logdir;
};

TEST_F(RatesFile, each_run_adds_to_it) {
  EXPECT_TRUE(load_rates(logdir)->disks.empty());
  Rates one;
  one.add({"a", "/", true, "1", 100});
  ASSERT_TRUE(add_to_rates(logdir, one));
  Rates two;
  two.add({"a", "/", true, "2", 300});
  two.add({"b", "/", true, "2", 7});
  ASSERT_TRUE(add_to_rates(logdir, two));
  const auto rates = load_rates(logdir);
  ASSERT_TRUE(rates);
  EXPECT_EQ(rates->of("a", "/", true)->own_kps, 200U);
  EXPECT_EQ(rates->of("b", "/", true)->own_kps, 7U);
}

TEST_F(RatesFile, a_broken_one_is_told_of_and_begun_anew) {
  ASSERT_TRUE(base::replace_file(rates_path(logdir), "no JSON", 0600));
  EXPECT_FALSE(load_rates(logdir));
  Rates one;
  one.add({"a", "/", true, "1", 100});
  ASSERT_TRUE(add_to_rates(logdir, one));
  EXPECT_EQ(load_rates(logdir)->of("a", "/", true)->own_kps, 100U);
}

}  // namespace
}  // namespace headrace::journal
