#include "flow/verdict.h"

#include <gtest/gtest.h>

#include <random>

namespace headrace::flow {
namespace {

using std::chrono::milliseconds;

JointShares starving(double much) { return {.starved = much, .blocked = 0, .busy = 1 - much, .full = 0}; }
JointShares blocking(double much) { return {.starved = 1 - much, .blocked = much, .busy = 0, .full = much}; }

Stage tar(double ran, double queued = 0) { return {Part::source, "tar", CpuShare{ran, queued}}; }
Stage gzip(double ran) { return {Part::client_filter, "compress", CpuShare{ran, 0}}; }
const Stage kNetwork{Part::network};
const Stage kHolding{Part::holding_disk};

// Both ends ours, no filters.
Observation plain(JointShares client, JointShares server, Stage source = tar(0.1)) {
  return {.seconds = 3, .stages = {std::move(source), kNetwork, kHolding}, .joints = {client, server}};
}
// A client compresses.
Observation filtered(JointShares first, JointShares second, JointShares server, Stage filter = gzip(0.9)) {
  return {.seconds = 3,
          .stages = {tar(0.1), std::move(filter), kNetwork, kHolding},
          .joints = {first, second, server}};
}
// The client is another program.
Observation one_sided(JointShares server, ReceiverTcp tcp, bool filters = false) {
  Observation seen{.seconds = 3, .stages = {Stage{Part::source}}, .joints = {std::nullopt}};
  if (filters) {
    seen.stages.push_back({Part::client_filter});
    seen.joints.push_back(std::nullopt);
  }
  seen.stages.push_back(kNetwork);
  seen.stages.push_back(kHolding);
  seen.joints.push_back(server);
  seen.receiver = tcp;
  return seen;
}

struct Case {
  const char* what;
  Observation seen;
  Verdict verdict;
};

Observation with_thread(Observation seen, CpuShare client) {
  seen.client_thread = client;
  return seen;
}
Observation with_server_thread(Observation seen, CpuShare server) {
  seen.server_thread = server;
  return seen;
}
Observation with_room(Observation seen, double waited) {
  seen.waited_for_room = waited;
  return seen;
}

const std::vector<Case>& cases() {
  static const JointShares kGated{.starved = 0.05, .gated = 0.95, .full = 0};
  static const JointShares kThrottled{.starved = 0.05, .throttled = 0.9, .busy = 0.05, .full = 0};
  static const JointShares kAtWork{.starved = 0.02, .blocked = 0.03, .busy = 0.95, .full = 0.1};
  static const std::vector<Case> kCases = {
      {"tar sleeps on its disk", plain(starving(0.95), starving(0.97)), Verdict::source},
      {"tar computes", plain(starving(0.9), starving(0.95), tar(0.9)), Verdict::client_cpu},
      {"tar gets no processor", plain(starving(0.9), starving(0.95), tar(0.4, 0.5)), Verdict::client_cpu},
      {"the line is slow", plain(blocking(0.97), starving(0.95)), Verdict::network},
      {"the line is slow and the disk is at work half of the time",
       plain(blocking(0.97), {.starved = 0.5, .blocked = 0.5, .full = 0.01}), Verdict::network},
      {"the disk is slow", plain(blocking(0.97), blocking(0.95)), Verdict::holding_disk},
      {"the disk is slow, with a little of everything",
       plain({.starved = 0.2, .blocked = 0.8, .full = 0.75}, {.starved = 0.3, .blocked = 0.7, .full = 0.65}),
       Verdict::holding_disk},
      {"the holding disk is full", with_room(plain(blocking(0.97), blocking(0.96)), 0.9), Verdict::volume},
      {"compress computes", filtered(blocking(0.97), starving(0.95), starving(0.97)), Verdict::client_cpu},
      {"compress is fast, tar is slow", filtered(starving(0.95), starving(0.97), starving(0.98)),
       Verdict::source},
      {"compress is fast, the line is slow", filtered(blocking(0.95), blocking(0.97), starving(0.9)),
       Verdict::network},
      {"compress is fast, the disk is slow", filtered(blocking(0.95), blocking(0.97), blocking(0.9)),
       Verdict::holding_disk},
      {"paused at the server", plain(blocking(0.97), kGated), Verdict::throttled},
      {"a rate limit at the server", plain(blocking(0.9), kThrottled), Verdict::throttled},
      {"the client program computes", with_thread(plain(kAtWork, starving(0.95)), {0.95, 0.02}),
       Verdict::client_cpu},
      {"the server program computes", with_server_thread(plain(blocking(0.95), kAtWork), {0.8, 0.18}),
       Verdict::server_cpu},
      {"each waits for the other",
       plain({.starved = 0.45, .blocked = 0.45, .busy = 0.1, .full = 0.4},
             {.starved = 0.5, .blocked = 0.4, .busy = 0.1, .full = 0.3}),
       Verdict::none},
      {"another client, backlogged", one_sided(starving(0.95), {5000, 0.9995, 0}), Verdict::network},
      {"another client, piece by piece", one_sided(starving(0.95), {5000, 0.95, 0}), Verdict::source},
      {"another client with a filter", one_sided(starving(0.95), {5000, 0.95, 0}, true), Verdict::client_cpu},
      {"another client, our disk is slow", one_sided(blocking(0.95), {5000, 0.9995, 0}),
       Verdict::holding_disk},
      {"a direct dump to a slow volume",
       {.seconds = 3,
        .stages = {tar(0.1), kNetwork, {Part::volume}},
        .joints = {blocking(0.95), blocking(0.93)}},
       Verdict::volume},
      {"a held image on a slow volume",
       {.seconds = 3, .stages = {kHolding, {Part::volume}}, .joints = {blocking(0.9)}},
       Verdict::volume},
      {"a held image on a slow holding disk",
       {.seconds = 3, .stages = {kHolding, {Part::volume}}, .joints = {starving(0.9)}},
       Verdict::holding_disk},
  };
  return kCases;
}

TEST(Verdict, of_known_limits) {
  for (const auto& it : cases()) {
    const auto found = judge(it.seen);
    EXPECT_EQ(name_of(found.verdict), name_of(it.verdict)) << it.what << ": " << found.evidence;
    EXPECT_GT(found.confidence, 0.2) << it.what;
    EXPECT_LE(found.confidence, 1) << it.what;
    EXPECT_FALSE(found.evidence.empty()) << it.what;
  }
}

TEST(Verdict, tells_the_numbers_it_rests_on) {
  EXPECT_EQ(judge(plain(blocking(0.97), blocking(0.95))).evidence,
            "the holding disk would not take more 95 % of the time; the client had data waiting 97 %");
  EXPECT_EQ(judge(plain(starving(0.95), starving(0.97))).evidence,
            "tar gave nothing 95 % of the time and used 10 % of a processor: it waits for its disk");
  auto seen = plain(blocking(0.97), starving(0.95));
  seen.sender = SenderTcp{0.99, 0.01, 0, 34, 12.5};
  EXPECT_EQ(
      judge(seen).evidence,
      "the client had data waiting 97 % of the time, the server waited for it 95 %; TCP: 34 retransmitted, "
      "round trip 12.5 ms");
}

TEST(Verdict, blames_the_server_for_a_full_window_it_has_no_time_to_empty) {
  auto seen = plain(blocking(0.97), starving(0.95));
  seen.sender = SenderTcp{0.99, 0.9, 0, 0, 0.1};
  EXPECT_EQ(judge(seen).verdict, Verdict::network);
  const double trust = judge(seen).confidence;
  seen.server_thread = CpuShare{0.9, 0.1};
  EXPECT_EQ(judge(seen).verdict, Verdict::server_cpu);
  seen.sender->rwnd_limited = 0;
  seen.server_thread.reset();
  EXPECT_GT(judge(seen).confidence, trust);
}

TEST(Verdict, is_less_sure_of_a_short_window) {
  auto seen = plain(blocking(0.97), blocking(0.95));
  const double sure = judge(seen).confidence;
  seen.seconds = 0.5;
  EXPECT_NEAR(judge(seen).confidence, sure / 4, 1e-9);
}

TEST(Verdict, of_nothing_is_none) {
  const auto found = judge(one_sided({}, {}));
  EXPECT_EQ(found.verdict, Verdict::none);
  const auto unseen =
      judge(Observation{.seconds = 1, .stages = {Stage{Part::source}, kNetwork}, .joints = {std::nullopt}});
  EXPECT_EQ(unseen.verdict, Verdict::none);
  EXPECT_EQ(unseen.confidence, 0);
}

TEST(Verdict, of_a_turn_not_come) {
  const auto found = judge_waiting(Verdict::scheduled, "its host's limit (maxdumps)");
  EXPECT_EQ(found.verdict, Verdict::scheduled);
  EXPECT_EQ(found.evidence, "waits for its host's limit (maxdumps)");
}

MeterSnapshot snapshot(int starved, int blocked, int busy, int full, int scale) {
  MeterSnapshot out;
  out.starved = milliseconds(starved) * scale;
  out.blocked = milliseconds(blocked) * scale;
  out.busy = milliseconds(busy) * scale;
  out.fill[7] = milliseconds(full) * scale;
  out.fill[0] = out.age() - out.fill[7];
  return out;
}

TEST(Shares, are_of_the_time_between_two_snapshots) {
  const auto shares = shares_between(snapshot(100, 0, 0, 0, 1), snapshot(200, 600, 300, 500, 1));
  ASSERT_TRUE(shares);
  EXPECT_DOUBLE_EQ(shares->starved, 0.1);
  EXPECT_DOUBLE_EQ(shares->blocked, 0.6);
  EXPECT_DOUBLE_EQ(shares->busy, 0.3);
  EXPECT_DOUBLE_EQ(shares->full.value_or(-1), 0.5);
  EXPECT_FALSE(shares_between(snapshot(1, 2, 3, 4, 1), snapshot(1, 2, 3, 4, 1)));
}

TEST(Shares, do_not_depend_on_the_length_of_the_window) {
  const auto one = shares_between({}, snapshot(200, 600, 200, 500, 1));
  const auto many = shares_between({}, snapshot(200, 600, 200, 500, 600));
  ASSERT_TRUE(one && many);
  EXPECT_DOUBLE_EQ(one->blocked, many->blocked);
  EXPECT_DOUBLE_EQ(one->full.value_or(-1), many->full.value_or(-2));
}

TEST(Shares, of_a_spliced_joint_have_no_fill) {
  MeterSnapshot spliced;
  spliced.blocked = milliseconds(10);
  EXPECT_FALSE(shares_between({}, spliced)->full);
}

JointShares random_joint(std::mt19937& random) {
  std::uniform_real_distribution<double> any(0, 1);
  const double parts[] = {any(random), any(random), any(random)};
  const double sum = parts[0] + parts[1] + parts[2];
  return {.starved = parts[0] / sum, .blocked = parts[1] / sum, .busy = parts[2] / sum, .full = any(random)};
}

// The slower the disk, the surer the verdict; and once it is the disk it stays the disk.
TEST(Verdict, follows_the_disk_as_it_slows_down) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const JointShares client = random_joint(random);
    bool disk = false;
    double sure = 0;
    for (int step = 0; step <= 20; ++step) {
      const double slow = step / 20.0;
      // Everything before a disk that takes nothing is blocked as well.
      const JointShares pressed{.starved = client.starved * (1 - slow),
                                .blocked = client.blocked * (1 - slow) + slow,
                                .busy = client.busy * (1 - slow),
                                .full = *client.full * (1 - slow) + slow};
      const auto found = judge(plain(pressed, blocking(slow)));
      if (disk) {
        EXPECT_EQ(found.verdict, Verdict::holding_disk);
        EXPECT_GE(found.confidence, sure - 1e-9);
      }
      disk = found.verdict == Verdict::holding_disk;
      if (disk) sure = found.confidence;
    }
    EXPECT_TRUE(disk);
  }
}

TEST(Verdict, of_anything_is_some_sentence) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    auto seen = filtered(random_joint(random), random_joint(random), random_joint(random));
    if (round % 3 == 0) seen.joints[static_cast<size_t>(round) % 3].reset();
    if (round % 5 == 0) seen.client_thread = CpuShare{1.5, 0.2};
    const auto found = judge(seen);
    EXPECT_GE(found.confidence, 0);
    EXPECT_LE(found.confidence, 1);
    EXPECT_FALSE(found.evidence.empty());
  }
}

}  // namespace
}  // namespace headrace::flow
