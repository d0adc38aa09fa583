#include "compat/curinfo.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/file.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

std::string sample(const std::string& name) {
  auto text = base::read_file(fs::path(HEADRACE_TEST_DATA) / "compat" / name);
  EXPECT_TRUE(text.has_value()) << name;
  return text.value_or("");
}

TEST(Curinfo, RealFilesComeBackAsTheyWere) {
  for (const char* name : {"info", "lab/info/client.lab/_tmp_lab_med_data1/info",
                           "lab/info/client.lab/_tmp_lab_med_data2/info"}) {
    const std::string text = sample(name);
    const auto info = Curinfo::parse(text, name);
    ASSERT_TRUE(info) << info.error().what();
    EXPECT_EQ(info->text(), text) << name;
  }
}

TEST(Curinfo, ReadsEveryField) {
  const auto info = Curinfo::parse(
      "version: 0\ncommand: 3\nfull-rate: 29500.3 1200.0\nfull-comp: 0.976\nincr-rate:\nincr-comp:\n\n"
      "stats: 1 10 5 2 1795395390 2 T1-002\nstats: 0 2940 2900 3 1795395315\n"
      "last_level: 1 4\nhistory: 1 10 5 1795395390 2\n//\nnot read any more\n",
      "info");
  ASSERT_TRUE(info) << info.error().what();
  EXPECT_EQ(info->command, kForceFull | kForceBump);
  EXPECT_EQ(info->full_rate, (std::vector<double>{29500.3, 1200.0}));
  EXPECT_EQ(info->stats_of(0)->stored_kib, 2900);
  EXPECT_EQ(info->stats_of(0)->label, "");
  EXPECT_EQ(info->stats_of(1)->label, "T1-002");
  EXPECT_EQ(info->stats_of(1)->fileno, 2);
  EXPECT_EQ(info->stats_of(2), nullptr);
  EXPECT_EQ(info->last_level, 1);
  EXPECT_EQ(info->last_level_runs, 4);
}

TEST(Curinfo, MistakesAreNamedByFileAndLine) {
  for (const char* bad : {"version: 1\n", "command: x\n", "full-rate: fast\n", "full-rate: inf\n",
                          "stats: 0 1 2\n", "stats: 400 1 2 3 4\n", "stats: 0 1 2 3 4 5 L extra\n",
                          "history: -1 1 1 1 1\n", "last_level: 9999 1\n", "host: a\n"}) {
    const auto info = Curinfo::parse(bad, "info");
    ASSERT_FALSE(info) << bad;
    EXPECT_NE(info.error().what().find("info:1: "), std::string::npos) << info.error().what();
  }
}

TEST(Curinfo, ADumpForgetsItsLevelAndThoseAbove) {
  Curinfo info;
  for (const int level : {0, 1, 2, 1}) {
    info.record_dump({.level = level,
                      .native_kib = 1000 + level,
                      .stored_kib = 500 + level,
                      .seconds = 2.9,
                      .unixtime = 1795395315 + level,
                      .compressed = true});
  }
  ASSERT_EQ(info.stats.size(), 2U);
  EXPECT_EQ(info.stats[0].level, 0);
  EXPECT_EQ(info.stats[1].level, 1);
  EXPECT_EQ(info.last_level, 1);
  EXPECT_EQ(info.last_level_runs, 1);
  EXPECT_EQ(info.history.size(), 4U);
  EXPECT_EQ(info.history[0].level, 1) << "newest first";
  EXPECT_EQ(info.history[3].level, 0);
  EXPECT_EQ(info.full_rate, (std::vector<double>{250})) << "whole seconds count";
  EXPECT_EQ(info.incr_rate.size(), 3U);
  EXPECT_EQ(info.full_comp, (std::vector<double>{0.5}));
  info.record_dump(
      {.level = 1, .native_kib = 1, .stored_kib = 1, .seconds = 0.4, .unixtime = 1, .compressed = false});
  EXPECT_EQ(info.last_level_runs, 2);
  EXPECT_EQ(info.incr_rate.size(), 3U) << "too short to tell a rate";
  EXPECT_EQ(info.incr_comp.size(), 3U);
}

TEST(Curinfo, HistoryAndAveragesAreBounded) {
  Curinfo info;
  for (int i = 0; i < 250; ++i) {
    info.record_dump(
        {.level = 0, .native_kib = i, .stored_kib = i, .seconds = 1, .unixtime = i, .compressed = true});
  }
  EXPECT_EQ(info.history.size(), kMaxHistory);
  EXPECT_EQ(info.history.front().unixtime, 249);
  EXPECT_EQ(info.full_rate, (std::vector<double>{249, 248, 247}));
  EXPECT_EQ(info.last_level_runs, 250);
  const auto again = Curinfo::parse(info.text(), "info");
  ASSERT_TRUE(again) << again.error().what();
  EXPECT_EQ(*again, info);
}

TEST(Curinfo, TapedFindsItsDump) {
  Curinfo info;
  info.record_dump(
      {.level = 0, .native_kib = 1, .stored_kib = 1, .seconds = 1, .unixtime = 77, .compressed = false});
  EXPECT_FALSE(info.record_taped(0, 76, 3, "V")) << "of another dump of that level";
  EXPECT_FALSE(info.record_taped(1, 77, 3, "V"));
  EXPECT_TRUE(info.record_taped(0, 77, 3, "V"));
  EXPECT_EQ(info.stats_of(0)->fileno, 3);
  EXPECT_NE(info.text().find("stats: 0 1 1 1 77 3 V\n"), std::string::npos);
}

TEST(Curinfo, WeightedAverage) {
  EXPECT_DOUBLE_EQ(Curinfo::weighted({}, 7), 7);
  EXPECT_DOUBLE_EQ(Curinfo::weighted({10}, 7), 10);
  EXPECT_DOUBLE_EQ(Curinfo::weighted({10, 20}, 7), (30.0 + 40.0) / 5);
  EXPECT_DOUBLE_EQ(Curinfo::weighted({10, 20, 30}, 7), (30.0 + 40.0 + 30.0) / 6);
}

TEST(Curinfo, SavedWholeUnderMangledNames) {
  char name[] = "/tmp/headrace-curinfo-XXXXXX";
  const fs::path directory = ::mkdtemp(name);
  EXPECT_EQ(load_curinfo(directory, "h", "/a b")->last_level, -1) << "no file: an empty record";
  Curinfo info;
  info.command = kForceFull;
  ASSERT_TRUE(save_curinfo(directory, "h", "/a b", info));
  EXPECT_TRUE(fs::exists(directory / "h" / "_a b" / "info"));
  EXPECT_FALSE(fs::exists(directory / "h" / "_a b" / "info.new"));
  EXPECT_EQ(load_curinfo(directory, "h", "/a b")->command, kForceFull);
  fs::remove_all(directory);
}

}  // namespace
}  // namespace headrace::compat
