#include "config/label_template.h"

#include <gtest/gtest.h>

namespace headrace::config {
namespace {

const LabelContext kContext{
    .config = "daily", .org = "Org", .barcode = "B7", .meta = "M1", .storage = "st", .slot = 12};

std::string next(std::string_view pattern, const std::set<std::string>& used = {}) {
  const auto label = next_label(pattern, kContext, used);
  return label ? *label : "! " + label.error().what();
}

TEST(NextLabel, TakesTheLowestFree) {
  EXPECT_EQ(next("T-%%%"), "T-001");
  EXPECT_EQ(next("T-%%%", {"T-001", "T-002", "T-004"}), "T-003");
  EXPECT_EQ(next("%", {"1", "2"}), "3");
  EXPECT_EQ(next("X!!"), "XAA");
  EXPECT_EQ(next("X!!", {"XAA"}), "XAB");
  EXPECT_EQ(next("!", {"A", "B"}), "C");
}

TEST(NextLabel, CarriesLetters) {
  std::set<std::string> used;
  for (char c = 'A'; c <= 'Z'; ++c) used.insert(std::string("A") + c);
  EXPECT_EQ(next("!!", used), "BA");
}

TEST(NextLabel, ExpandsCodes) {
  EXPECT_EQ(next("$c-$o-$b-$m-$r-%%"), "daily-Org-B7-M1-st-01");
  EXPECT_EQ(next("slot$4s"), "slot0012");
  EXPECT_EQ(next("slot$s"), "slot12");
  EXPECT_EQ(next("a$$b$"), "a$b$");
  EXPECT_EQ(next("a\\%b%"), "a%b1");
  EXPECT_EQ(next("$z%"), "$z1");
}

TEST(NextLabel, RefusesWhenNothingIsLeft) {
  EXPECT_EQ(next("%", {"1", "2", "3", "4", "5", "6", "7", "8", "9"}),
            "! every label of autolabel '%' is used");
  EXPECT_EQ(next("fixed"), "fixed");
  EXPECT_EQ(next("fixed", {"fixed"}), "! every label of autolabel 'fixed' is used");
  EXPECT_EQ(next(""), "! autolabel is not set");
  EXPECT_EQ(next("%a%"), "! autolabel '%a%' has more than one run of '%' or '!'");
  EXPECT_EQ(next(std::string(2000, '%')), "! autolabel is longer than 1024 bytes");
}

bool fits(const std::string& pattern, std::string_view label) {
  return *label_matches({.pattern = pattern, .match_autolabel = false}, {}, kContext, label);
}

TEST(Labelstr, IsAnExpressionWithCodes) {
  EXPECT_TRUE(fits(".*", "anything"));
  EXPECT_TRUE(fits("^T-[0-9]+$", "T-12"));
  EXPECT_FALSE(fits("^T-[0-9]+$", "T-"));
  EXPECT_TRUE(fits("T", "a T b"));  // not anchored
  EXPECT_TRUE(fits("^$c-%%%$", "daily-001"));
  EXPECT_FALSE(fits("^$c-%%%$", "daily-01"));
  EXPECT_TRUE(fits("^!!$", "AZ"));
  EXPECT_FALSE(fits("^!!$", "Az"));
  EXPECT_TRUE(fits("^$3s$", "012"));
  EXPECT_TRUE(fits("^x$s$", "x"));
  EXPECT_TRUE(fits("a\\.b", "axb"));  // the backslash is lost, as in Amanda
  EXPECT_FALSE(fits(".*", std::string(2000, 'x')));
}

TEST(Labelstr, MatchAutolabelIsAnchored) {
  const Labelstr match{.pattern = "", .match_autolabel = true};
  Autolabel autolabel;
  autolabel.pattern = "$c-%%";
  EXPECT_EQ(label_regex(match, autolabel, kContext), "^daily-[0-9][0-9]$");
  EXPECT_TRUE(*label_matches(match, autolabel, kContext, "daily-07"));
  EXPECT_FALSE(*label_matches(match, autolabel, kContext, "xdaily-07"));
}

TEST(Labelstr, ABadExpressionIsRefused) {
  const auto result = label_matches({.pattern = "a[", .match_autolabel = false}, {}, kContext, "x");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().what().find("labelstr 'a[' is not a regular expression"), std::string::npos);
}

TEST(ExpandCodes, KnowsThree) {
  EXPECT_EQ(expand_codes("$o-$c-$r-$$-$b-$", kContext), "Org-daily-st-$-$b-$");
}

}  // namespace
}  // namespace headrace::config
