// A night that is too large is made to fit, and one that is too small takes fulls of the days to come.
#include "server/plan/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::plan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Writes of nothing but data, so that figures add up by eye.
Capacity room(int64_t kib) { return {.volume_kib = kib, .blocksize_kib = 0, .dumpcycle_days = 10}; }

class BalanceTest : public testing::Test {
 protected:
  // Adds a disk "/0", "/1", … with a full or an incremental planned. In the order to start.
  Candidate& add(int level, uint64_t kib, const std::string& last_full = "20261101",
                 const std::string& host = "h") {
    const size_t index = inputs.dles.size();
    PlanDle dle{.host = host, .disk = "/" + std::to_string(index)};
    dle.dumpcycle_days = 10;
    inputs.dles.push_back(dle);
    Candidate candidate;
    candidate.dump.dle = index;
    candidate.dump.as = {.level = level, .stored_kib = kib};
    candidate.dump.priority = 1;
    candidate.last_full = last_full;
    if (level == 0) {
      candidate.full_kib = kib;
      candidate.dump.degraded = PlannedLevel{.level = 1, .stored_kib = 1};
    }
    candidates.push_back(std::move(candidate));
    return candidates.back();
  }
  Candidate& incremental(uint64_t kib, uint64_t full_kib, int64_t due_in, const std::string& host = "h") {
    auto& it = add(1, kib, "20261101", host);
    it.full = PlannedLevel{.level = 0, .stored_kib = full_kib};
    it.full_kib = full_kib;
    it.due_in = due_in;
    return it;
  }
  void run(Capacity capacity) {
    inputs.timestamp = "20261123010000";
    inputs.capacity = capacity;
    result = balance(inputs, candidates);
    levels.assign(inputs.dles.size(), -1);
    for (const auto& it : result.dumps) levels[it.dump.dle] = it.dump.as.level;
  }

  PlanInputs inputs;
  std::vector<Candidate> candidates;
  Balanced result;
  std::vector<int> levels;  // by disk; -1: dropped
};

TEST_F(BalanceTest, what_fits_stays_as_it_is) {
  add(0, 100);
  add(1, 10);
  run(room(110));
  EXPECT_THAT(levels, ElementsAre(0, 1));
  run({});
  EXPECT_THAT(levels, ElementsAre(0, 1)) << "no length known";
}

TEST_F(BalanceTest, blocks_and_filemarks_count) {
  add(0, 100, "20261101");
  add(0, 100, "20261102");
  EXPECT_EQ(written_kib({.blocksize_kib = 32, .filemark_kib = 8}, 2, 200), 4 * 40 + 200U);
  run({.volume_kib = 360, .blocksize_kib = 32, .filemark_kib = 8, .dumpcycle_days = 10});
  EXPECT_THAT(levels, ElementsAre(0, 0));
  run({.volume_kib = 359, .blocksize_kib = 32, .filemark_kib = 8, .dumpcycle_days = 10});
  EXPECT_THAT(levels, ElementsAre(0, 1));
}

// As Amanda does it: of fulls made at one time, the last to start waits first; what it waited in vain for
// comes back in the other direction.
TEST_F(BalanceTest, of_fulls_of_one_time_the_last_to_start_waits) {
  add(0, 100, "20261001");
  add(0, 40, "20261101");
  add(0, 30, "20261101");
  run(room(145));
  EXPECT_THAT(levels, ElementsAre(0, 0, 1));
  candidates[1].dump.degraded.reset();
  candidates[2].dump.degraded.reset();
  run(room(145));
  EXPECT_THAT(levels, ElementsAre(0, 0, -1));
}

// Amanda drops the disk.
TEST_F(BalanceTest, an_incremental_instead_of_a_full_may_span_the_volumes_of_a_run) {
  auto& it = add(0, 250);
  it.dump.degraded = PlannedLevel{.level = 1, .stored_kib = 150};
  inputs.dles[0].splits = true;
  run({.volume_kib = 100, .volumes = 2, .blocksize_kib = 0, .dumpcycle_days = 10});
  EXPECT_THAT(levels, ElementsAre(1));
}

TEST_F(BalanceTest, the_latest_fulls_wait_and_the_oldest_is_made) {
  add(0, 100, "20261103");
  add(0, 100, "20261101");
  add(0, 100, "20261102");
  run(room(202));
  EXPECT_THAT(levels, ElementsAre(1, 0, 0));
  EXPECT_THAT(result.notes.at(0).text, HasSubstr("full dump delayed, doing incremental"));
  EXPECT_EQ(result.dumps.back().dump.as.reason.why, Why::delayed);
  EXPECT_THAT(result.dumps.back().dump.as.reason.sentence(), HasSubstr("a full of 100 KiB is due"));
  run(room(50));
  EXPECT_THAT(levels, ElementsAre(1, 1, 1)) << "each larger than what a run can write";
}

TEST_F(BalanceTest, one_full_is_made_though_nothing_else_fits) {
  add(0, 90, "20261101");
  add(0, 90, "20261102");
  add(1, 20);
  run(room(95));
  EXPECT_THAT(levels, ElementsAre(0, 1, -1));
  EXPECT_THAT(result.dropped.at(0).reason,
              HasSubstr("dumps way too big, 20 KB, must skip incremental dumps"));
}

TEST_F(BalanceTest, priority_decides_which_full_is_made) {
  add(0, 90, "20261102").dump.priority = 2;
  add(0, 90, "20261101");
  run(room(100));
  EXPECT_THAT(levels, ElementsAre(0, 1));
}

TEST_F(BalanceTest, a_forced_full_goes_before_others) {
  add(0, 90, "20261101");
  add(0, 90, "20261102").forced = true;
  run(room(100));
  EXPECT_THAT(levels, ElementsAre(1, 0));
}

TEST_F(BalanceTest, a_full_without_an_incremental_is_dropped_and_says_why) {
  add(0, 90, "20261101");
  auto& it = add(0, 90, "20261102");
  it.dump.degraded.reset();
  it.dump.not_degraded = "skip-incr";
  run(room(100));
  EXPECT_THAT(levels, ElementsAre(0, -1));
  EXPECT_THAT(result.dropped.at(0).reason, HasSubstr("cannot incremental dump skip-incr"));
}

TEST_F(BalanceTest, room_made_too_much_of_is_given_back) {
  add(0, 500, "20261101");
  add(0, 50, "20261103");
  add(0, 300, "20261102");
  run(room(560));
  // The latest, of 50, waits first; then the one of 300; and after that 50 fit again.
  EXPECT_THAT(levels, ElementsAre(0, 0, 1));
}

TEST_F(BalanceTest, what_may_not_be_split_has_to_fit_one_volume) {
  add(0, 150);
  add(0, 150);
  inputs.dles[1].splits = false;
  auto capacity = room(100);
  capacity.volumes = 9;
  run(capacity);
  EXPECT_THAT(levels, ElementsAre(0, 1));
  add(1, 150);
  inputs.dles[2].splits = false;
  run(capacity);
  EXPECT_THAT(result.dropped.at(0).reason, HasSubstr("dump larger than available tape space, 150 KB"));
}

TEST_F(BalanceTest, the_share_of_a_night) {
  add(0, 1000);
  const auto share = [this](Capacity capacity) {
    run(capacity);
    return result.balanced_kib;
  };
  auto capacity = room(5000);
  EXPECT_EQ(share(capacity), 100U);
  capacity.runspercycle = 5;
  EXPECT_EQ(share(capacity), 200U);
  capacity.runspercycle = -1;
  capacity.runs_in_last_cycle = 4;
  EXPECT_EQ(share(capacity), 250U);
  capacity.runs_in_last_cycle = 0;
  EXPECT_EQ(share(capacity), 1000U);
  candidates[0].only_fulls = true;
  EXPECT_EQ(share(room(5000)), 1000U) << "strategy noinc";
  candidates[0].only_fulls = false;
  candidates[0].takes_fulls = false;
  EXPECT_EQ(share(room(5000)), 0U);
  candidates[0].takes_fulls = true;
  inputs.dles[0].dumpcycle_days = 3;
  EXPECT_EQ(share(room(5000)), 300U) << "three times in ten days";
}

TEST_F(BalanceTest, fulls_are_made_early_until_the_night_has_its_share) {
  for (int64_t day = 1; day <= 2; ++day)
    for (int i = 0; i < 5; ++i) incremental(1, 100, day);
  run(room(100'000));
  // 1000 KiB in ten runs: one full a night. Both days are as crowded; the nearer one's first goes.
  EXPECT_EQ(result.balanced_kib, 100U);
  EXPECT_THAT(levels, ElementsAre(0, 1, 1, 1, 1, 1, 1, 1, 1, 1));
  EXPECT_EQ(result.notes.at(0).text, "Full dump of h:/0 promoted from 1 day ahead.");
  const auto& full = result.dumps.front().dump;
  EXPECT_EQ(full.as.reason.why, Why::promoted);
  ASSERT_TRUE(full.degraded);
  EXPECT_EQ(full.degraded->level, 1);
}

TEST_F(BalanceTest, maxpromoteday_and_room_limit_it) {
  for (int i = 0; i < 4; ++i) incremental(1, 100, 5);
  for (auto& dle : inputs.dles) dle.max_promote_days = 4;
  run(room(100'000));
  EXPECT_THAT(levels, ElementsAre(1, 1, 1, 1));
  for (auto& dle : inputs.dles) dle.max_promote_days = 5;
  run(room(102));
  EXPECT_THAT(levels, ElementsAre(1, 1, 1, 1)) << "a full does not fit";
  run(room(103));
  EXPECT_THAT(levels, ElementsAre(0, 1, 1, 1));
}

TEST_F(BalanceTest, a_host_with_fulls_tonight_gets_no_more_of_them) {
  incremental(1, 100, 3, "busy");
  incremental(1, 100, 3, "idle");
  incremental(1, 100, 4, "idle");
  add(0, 5, "20261101", "busy");
  auto capacity = room(100'000);
  capacity.runspercycle = 2;
  run(capacity);
  EXPECT_EQ(levels[0], 1);
  EXPECT_EQ(levels[1], 0);
}

TEST_F(BalanceTest, the_highest_hill_is_levelled_when_no_full_is_made) {
  incremental(1, 1000, 1).takes_fulls = false;
  for (int i = 0; i < 3; ++i) incremental(1, 400, 6);
  auto capacity = room(100'000);
  capacity.runspercycle = 100'000;  // a share too small for any full
  run(capacity);
  EXPECT_THAT(levels, ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(result.notes.at(0).text, HasSubstr("specially promoted from 6 days ahead"));
}

TEST_F(BalanceTest, nothing_of_nothing) {
  run(room(0));
  EXPECT_THAT(result.dumps, IsEmpty());
  EXPECT_THAT(result.notes, IsEmpty());
}

}  // namespace
}  // namespace headrace::plan
