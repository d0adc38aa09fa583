#include "journal/verdict_spans.h"

#include <gtest/gtest.h>

namespace headrace::journal {
namespace {

constexpr int64_t kSecond = 1'000'000;

VerdictSpan said(const std::string& verdict, int64_t at_seconds, uint64_t rate, double confidence = 0.5) {
  return {.verdict = verdict,
          .phase = "dumping",
          .from_us = at_seconds * kSecond,
          .to_us = at_seconds * kSecond,
          .confidence = confidence,
          .evidence = verdict + " at " + std::to_string(at_seconds),
          .first_rate = rate,
          .last_rate = rate};
}

TEST(VerdictSpans, that_say_the_same_are_one) {
  VerdictSpans spans;
  spans.add(said("network", 0, 10));
  spans.add(said("network", 5, 80, 0.9));
  spans.go_on(7 * kSecond);
  spans.add(said("holding disk", 60, 80));
  spans.add(said("holding disk", 600, 12));
  spans.end(660 * kSecond);
  ASSERT_EQ(spans.spans().size(), 2U);
  const auto& network = spans.spans()[0];
  EXPECT_DOUBLE_EQ(network.seconds(), 60);
  EXPECT_EQ(network.first_rate, 80U);
  EXPECT_EQ(network.evidence, "network at 5");
  // A disk that slows down as it fills.
  const auto& disk = spans.spans()[1];
  EXPECT_EQ(disk.first_rate, 80U);
  EXPECT_EQ(disk.last_rate, 12U);
  EXPECT_DOUBLE_EQ(disk.seconds(), 600);
  EXPECT_EQ(spans.current(), nullptr);
  spans.go_on(900 * kSecond);
  EXPECT_DOUBLE_EQ(spans.spans()[1].seconds(), 600);
}

TEST(VerdictSpans, of_another_try_or_phase_are_others) {
  VerdictSpans spans;
  spans.add(said("network", 0, 10));
  spans.end(10 * kSecond);
  spans.add(said("network", 20, 10));
  auto writing = said("network", 30, 10);
  writing.phase = "writing";
  spans.add(writing);
  ASSERT_EQ(spans.spans().size(), 3U);
  EXPECT_DOUBLE_EQ(spans.spans()[0].seconds(), 10);
  EXPECT_DOUBLE_EQ(spans.spans()[1].seconds(), 10);
}

TEST(VerdictSpans, add_up_by_verdict) {
  VerdictSpans spans;
  for (const auto& [verdict, at] : {std::pair("network", 0), {"source", 10}, {"network", 40}, {"none", 45}})
    spans.add(said(verdict, at, 0));
  spans.end(46 * kSecond);
  const auto sums = spans.seconds_by_verdict();
  ASSERT_EQ(sums.size(), 3U);
  EXPECT_EQ(sums[0], std::pair(std::string("source"), 30.0));
  EXPECT_EQ(sums[1], std::pair(std::string("network"), 15.0));
  EXPECT_TRUE(spans.seconds_by_verdict({"writing"}).empty());
}

// However often it changes: bounded, without a hole, and nothing that was long is lost.
TEST(VerdictSpans, are_bounded) {
  VerdictSpans spans;
  int64_t at = 0;
  for (int i = 0; i < 10'000; ++i) {
    spans.add(said(i % 3 == 0 ? "network" : i % 3 == 1 ? "source" : "none", at, 1));
    at += i == 5000 ? 3600 : i % 7 + 1;
  }
  spans.end(at * kSecond);
  ASSERT_LE(spans.spans().size(), kMaxVerdictSpans);
  int64_t reached = 0;
  bool has_long = false;
  for (const auto& span : spans.spans()) {
    EXPECT_EQ(span.from_us, reached);
    reached = span.to_us;
    has_long = has_long || (span.verdict == "none" && span.seconds() >= 3600);
  }
  EXPECT_EQ(reached, at * kSecond);
  EXPECT_TRUE(has_long);
}

}  // namespace
}  // namespace headrace::journal
