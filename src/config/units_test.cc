#include "config/units.h"

#include <gtest/gtest.h>

namespace headrace::config {
namespace {

TEST(Units, rates_as_people_write_them) {
  struct Case {
    const char* text;
    int64_t bytes_a_second;
  };
  const Case cases[] = {
      {"none", 0},          {"NONE", 0},
      {"800", 800 * 1024},  {"10 mbps", 10 << 20},
      {"10mbps", 10 << 20}, {"5 MB/s", 5 << 20},
      {"5M", 5 << 20},      {" 1.5 mbytes ", 3 << 19},
      {"2048 bps", 2048},   {"800 kps", 800 * 1024},
      {"1 gbps", 1 << 30},  {"1TB/s", int64_t{1} << 40},
  };
  for (const auto& c : cases) {
    const auto rate = parse_rate(c.text);
    ASSERT_TRUE(rate) << c.text << rate.error().what();
    EXPECT_EQ(*rate, c.bytes_a_second) << c.text;
  }
}

TEST(Units, what_is_no_rate_is_refused_with_a_way_out) {
  for (const char* text : {"", "fast", "10 apples", "0", "-5 MB/s", "1 bps", "3 days", "2 tapes", "1 week",
                           "nan", "inf", "1e300", "5 MB/s/s", "5 M B"}) {
    const auto rate = parse_rate(text);
    ASSERT_FALSE(rate) << text;
    EXPECT_NE(rate.error().what().find("10 mbps"), std::string::npos) << rate.error().what();
  }
}

}  // namespace
}  // namespace headrace::config
