#include "wire/features.h"

#include <gtest/gtest.h>

namespace headrace::wire {
namespace {

constexpr std::string_view kAmanda351 = "ffffffff9efefbfffffffffffffff3fffbf71f";

TEST(Features, of_351_print_as_351_prints_them) {
  EXPECT_EQ(FeatureSet::amanda_351().hex(), kAmanda351);
  EXPECT_EQ(FeatureSet::parse(kAmanda351), FeatureSet::amanda_351());
  EXPECT_EQ(FeatureSet::assumed_default().hex(), "34cbfe811e0100000000000000000000000000");
}

TEST(Features, ours_lack_only_shared_memory) {
  FeatureSet ours = FeatureSet::ours_as_client();
  EXPECT_FALSE(ours.has(Feature::sendbackup_req_options_data_shm_control_name));
  EXPECT_EQ(ours, FeatureSet::ours_as_server());
  ours.add(Feature::sendbackup_req_options_data_shm_control_name);
  EXPECT_EQ(ours, FeatureSet::amanda_351());
}

TEST(Features, have_names_and_numbers) {
  EXPECT_EQ(static_cast<int>(Feature::req_xml), 80);
  EXPECT_EQ(name_of(Feature::have_feature_support), "have_feature_support");
  EXPECT_EQ(name_of(Feature::req_options_timestamp), "req_options_timestamp");
  EXPECT_EQ(name_of(static_cast<Feature>(149)), "unknown");
}

TEST(Features, of_other_lengths_are_read) {
  const auto shorter = FeatureSet::parse("ffffffff9ffeffffffff00");
  ASSERT_TRUE(shorter);
  EXPECT_TRUE(shorter->has(Feature::rep_sendsize_quoted_error));
  EXPECT_FALSE(shorter->has(Feature::req_xml));
  EXPECT_EQ(FeatureSet::parse(std::string(kAmanda351) + "80"), FeatureSet::amanda_351());
  EXPECT_EQ(FeatureSet::parse("ffffffff9efefbfffffffffffffff3fffbf7ff")->hex(), kAmanda351);
  EXPECT_EQ(FeatureSet::parse("FF0")->hex(), "ff000000000000000000000000000000000000");
  EXPECT_EQ(FeatureSet::parse("")->hex(), FeatureSet().hex());
}

TEST(Features, of_our_own_make_the_text_longer) {
  FeatureSet set = FeatureSet::ours_as_server();
  EXPECT_EQ(set.hex().size(), 38U);
  set.add(Feature::headrace_meters);
  EXPECT_EQ(set.hex(), FeatureSet::ours_as_server().hex() + std::string(20, '0') + "01");
  EXPECT_EQ(FeatureSet::parse(set.hex()), set);
  // What lies beyond ours is nobody's.
  EXPECT_EQ(FeatureSet::parse(set.hex() + "000000ff"), set);
  EXPECT_EQ(name_of(Feature::headrace_meters), "headrace_meters");
}

TEST(Features, of_our_own_are_shown_to_headrace_alone) {
  EXPECT_TRUE(FeatureSet::ours_as_client().of_headrace());
  EXPECT_TRUE(FeatureSet::ours_to(FeatureSet::ours_as_client()).has(Feature::headrace_meters));
  for (const FeatureSet& peer : {FeatureSet::amanda_351(), FeatureSet::assumed_default(), FeatureSet()}) {
    EXPECT_FALSE(peer.of_headrace());
    EXPECT_EQ(FeatureSet::ours_to(peer).hex(), FeatureSet::ours_as_server().hex());
  }
  // Amanda 3.3 knows neither of the two bits.
  FeatureSet older = FeatureSet::amanda_351();
  older.remove(Feature::sendbackup_req_options_data_shm_control_name);
  older.remove(Feature::req_options_timestamp);
  EXPECT_FALSE(older.of_headrace());
}

TEST(Features, that_are_no_hex_are_none) {
  EXPECT_FALSE(FeatureSet::parse("UNKNOWNFEATURE"));
  EXPECT_FALSE(FeatureSet::parse("ffxx"));
  EXPECT_FALSE(FeatureSet::parse(std::string(kAmanda351) + "zz"));
}

}  // namespace
}  // namespace headrace::wire
