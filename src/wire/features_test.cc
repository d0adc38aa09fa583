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

TEST(Features, that_are_no_hex_are_none) {
  EXPECT_FALSE(FeatureSet::parse("UNKNOWNFEATURE"));
  EXPECT_FALSE(FeatureSet::parse("ffxx"));
  EXPECT_FALSE(FeatureSet::parse(std::string(kAmanda351) + "zz"));
}

}  // namespace
}  // namespace headrace::wire
