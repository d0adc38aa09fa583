#include "server/drive/path_watch.h"

#include <gtest/gtest.h>

namespace headrace::drive {
namespace {

using flow::Verdict;
using std::chrono::milliseconds;
using std::chrono::seconds;

const base::Instant kStart{std::chrono::hours(1)};

// A joint that was starved and blocked for so many milliseconds in all, its ring full while blocked.
flow::MeterSnapshot joint(uint64_t bytes, int starved, int blocked) {
  flow::MeterSnapshot out;
  out.bytes = bytes;
  out.starved = milliseconds(starved);
  out.blocked = milliseconds(blocked);
  out.fill[0] = out.starved;
  out.fill[7] = out.blocked;
  return out;
}

dump::ClientMeters client(int second, uint64_t starved, uint64_t blocked, uint64_t tar_ms) {
  dump::ClientMeters out{.line = {}, .at = kStart + seconds(second)};
  out.line.at_ms = static_cast<uint64_t>(second) * 1000;
  out.line.programs = {{"tar", {tar_ms, 0}}};
  wire::MeterJoint sending;
  sending.name = "network send";
  sending.bytes = 7;
  sending.starved_ms = starved;
  sending.blocked_ms = blocked;
  sending.fill_ms[0] = starved;
  sending.fill_ms[7] = blocked;
  out.line.joints = {sending};
  return out;
}

TEST(PathWatch, needs_no_sample_before_the_first) {
  PathWatch watch({});
  EXPECT_FALSE(watch.observe());
  watch.add({.at = kStart + seconds(2), .joints = {joint(200, 100, 1900)}, .client = client(2, 0, 2000, 10)});
  const auto seen = watch.observe();
  ASSERT_TRUE(seen);
  EXPECT_DOUBLE_EQ(seen->seconds, 2);
  EXPECT_EQ(flow::judge(*seen).verdict, Verdict::holding_disk);
  EXPECT_EQ(watch.rate(), 100U);
}

TEST(PathWatch, judges_by_the_last_seconds) {
  PathWatch watch({});
  // The disk was slow for a minute; now the source is.
  watch.add(
      {.at = kStart + seconds(60), .joints = {joint(100, 0, 60'000)}, .client = client(60, 0, 60'000, 10)});
  EXPECT_EQ(flow::judge(*watch.observe()).verdict, Verdict::holding_disk);
  for (int i = 61; i <= 64; ++i) {
    const int since = (i - 60) * 1000;
    watch.add({.at = kStart + seconds(i),
               .joints = {joint(100, since, 60'000)},
               .client = client(i, static_cast<uint64_t>(since), 60'000, 10)});
  }
  const auto seen = watch.observe();
  ASSERT_TRUE(seen);
  EXPECT_DOUBLE_EQ(seen->seconds, 3);
  EXPECT_EQ(flow::judge(*seen).verdict, Verdict::source);
}

TEST(PathWatch, leaves_out_a_client_that_has_fallen_silent) {
  PathWatch watch({.client_filters = true});
  for (int i = 1; i <= 10; ++i)
    watch.add(
        {.at = kStart + seconds(i), .joints = {joint(1, i * 1000, 0)}, .client = client(1, 1000, 0, 10)});
  const auto seen = watch.observe();
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->stages.size(), 4U);
  EXPECT_FALSE(seen->joints[0]);
  EXPECT_EQ(seen->stages[1].part, flow::Part::client_filter);
}

TEST(PathWatch, takes_no_nonsense_from_a_client) {
  PathWatch watch({});
  auto nonsense = client(1, 1000, 0, 10);
  nonsense.line.programs.clear();
  watch.add({.at = kStart + seconds(1), .joints = {joint(1, 1000, 0)}, .client = nonsense});
  auto backwards = client(2, 5, 5, 1);
  backwards.line.joints.resize(2);
  backwards.line.programs.resize(2);
  watch.add({.at = kStart + seconds(2), .joints = {joint(1, 2000, 0)}, .client = backwards});
  watch.add({.at = kStart + seconds(3), .joints = {joint(1, 3000, 0)}, .client = client(1, 9, 9, 9)});
  ASSERT_TRUE(watch.observe());
  EXPECT_FALSE(flow::judge(*watch.observe()).evidence.empty());
}

TEST(PathWatch, tells_a_backlogged_sender_by_its_segments) {
  const auto verdict_at = [](uint64_t bytes) {
    PathWatch watch({});
    PathSample sample{.at = kStart + seconds(2), .joints = {joint(bytes, 2000, 0)}};
    sample.tcp = loop::TcpFacts{};
    sample.tcp->bytes_received = bytes;
    sample.tcp->segments_received = 1000;
    sample.tcp->receive_mss = 1448;
    watch.add(sample);
    return flow::judge(*watch.observe()).verdict;
  };
  EXPECT_EQ(verdict_at(1'447'900), Verdict::network);
  EXPECT_EQ(verdict_at(1'400'000), Verdict::source);
}

TEST(PathWatch, begins_again_with_another_pump) {
  PathWatch watch({.from_holding = true, .to_volume = true});
  watch.add({.at = kStart + seconds(9), .joints = {joint(900, 9000, 0)}});
  watch.add({.at = kStart + seconds(10), .joints = {joint(10, 0, 500)}});
  const auto seen = watch.observe();
  ASSERT_TRUE(seen);
  EXPECT_DOUBLE_EQ(seen->seconds, 0.5);
  EXPECT_EQ(flow::judge(*seen).verdict, Verdict::volume);
  EXPECT_EQ(watch.joints().back().name, "volume write");
}

TEST(PathWatch, blames_the_volume_for_a_full_holding_disk) {
  PathWatch watch({});
  watch.add({.at = kStart + seconds(3),
             .joints = {joint(10, 0, 3000)},
             .client = client(3, 0, 3000, 0),
             .waited_for_room = milliseconds(2900)});
  EXPECT_EQ(flow::judge(*watch.observe()).verdict, Verdict::volume);
}

TEST(RunVerdict, is_what_most_of_it_waits_for) {
  const std::vector<flow::Judgement> moving = {
      {Verdict::holding_disk, 0.9, "a"}, {Verdict::holding_disk, 0.7, "b"}, {Verdict::source, 0.9, "c"}};
  const auto found = judge_run(moving, 0);
  EXPECT_EQ(found.verdict, Verdict::holding_disk);
  EXPECT_EQ(found.evidence, "2 of 3 that move: a");
  EXPECT_EQ(judge_run({}, 2).verdict, Verdict::scheduled);
  EXPECT_EQ(judge_run({}, 0).verdict, Verdict::none);
}

TEST(RunVerdict, is_the_schedule_when_others_could_go_on) {
  const std::vector<flow::Judgement> slow_source = {{Verdict::source, 0.9, "a"}};
  const std::vector<flow::Judgement> slow_disk = {{Verdict::holding_disk, 0.9, "a"}};
  EXPECT_EQ(judge_run(slow_source, 3).verdict, Verdict::scheduled);
  EXPECT_EQ(judge_run(slow_source, 0).verdict, Verdict::source);
  EXPECT_EQ(judge_run(slow_disk, 3).verdict, Verdict::holding_disk);
}

}  // namespace
}  // namespace headrace::drive
