// What a night begins with: histories, capacity and answers on their way into the plan.
#include "server/drive/night.h"

#include <fstream>

#include "server/drive/night_bench.h"
#include "server/drive/skip_mark.h"

namespace headrace::drive {
namespace {

class NightTest : public NightBench {
 protected:
  Night begin(uint64_t holding_kib = 0) {
    config = configuration();
    return begin_night(config, entries(config), Disks::all, "20261123000000", holding_kib);
  }
  void record(const std::string& disk, int level, const std::string& stamp, const std::string& label) {
    auto info = compat::load_curinfo(root / "info", kHost, disk).value();
    info.record_dump({level, 2000, 1000, 10, base::unix_of_timestamp(stamp), true});
    if (!label.empty()) EXPECT_TRUE(info.record_taped(level, base::unix_of_timestamp(stamp), 1, label));
    ASSERT_TRUE(compat::save_curinfo(root / "info", kHost, disk, info));
  }
  void put(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  config::ServerConfig config;
};

TEST_F(NightTest, NewDisksHaveNoHistory) {
  globals = "runtapes 2\nmaxdumpsize 5 mbytes";
  tapetype = "length 10 mbytes\nblocksize 64 kbytes\npart-size 1 mbyte";
  dumptype = "strategy noinc\nskip-incr yes\npriority high\ncomprate 0.3,0.4\nholdingdisk never";
  const auto night = begin(777);
  EXPECT_TRUE(night.warnings.empty());
  ASSERT_EQ(night.inputs.dles.size(), 3U);
  const auto& dle = night.inputs.dles[1];
  EXPECT_EQ(dle.host, kHost);
  EXPECT_EQ(dle.disk, "/d2");
  EXPECT_EQ(dle.last_level, -1);
  EXPECT_TRUE(dle.records.empty());
  EXPECT_EQ(dle.strategy, config::Strategy::noinc);
  EXPECT_TRUE(dle.skip_incr);
  EXPECT_EQ(dle.priority, 2);
  EXPECT_EQ(dle.holding, config::Holding::never);
  EXPECT_TRUE(dle.splits);
  EXPECT_FALSE(dle.compresses);
  EXPECT_DOUBLE_EQ(dle.comprate_incr, 0.4);
  EXPECT_EQ(night.inputs.timestamp, "20261123000000");
  const auto& capacity = night.inputs.capacity;
  EXPECT_EQ(capacity.volume_kib, 10240);
  EXPECT_EQ(capacity.volumes, 2);
  EXPECT_EQ(capacity.blocksize_kib, 64);
  EXPECT_EQ(capacity.limit_kib, 5120);
  EXPECT_EQ(capacity.holding_kib, 777);
  EXPECT_EQ(capacity.tapecycle, 3);
}

TEST_F(NightTest, WithoutPartsAnImageIsNotSplit) {
  dumptype = "allow-split no";
  tapetype = "length 10 mbytes\npart-size 1 mbyte";
  EXPECT_FALSE(begin().inputs.dles[0].splits);
}

// A dump exists while the volume of its first part is what it was.
TEST_F(NightTest, HistoryAndWhetherItsDumpsStillExist) {
  record("/d1", 0, "20261120000000", "V-001");
  record("/d2", 0, "20261119000000", "V-002");
  record("/d3", 0, "20261118000000", "");
  put(root / "config/tapelist", "20261122000000 V-002 reuse\n20261120000000 V-001 reuse\n");
  const auto night = begin();
  const auto& there = night.inputs.dles[0];
  EXPECT_EQ(there.last_level, 0);
  ASSERT_TRUE(there.records.contains(0));
  EXPECT_EQ(there.records.at(0).timestamp, "20261120000000");
  EXPECT_EQ(there.records.at(0).native_kib, 2000U);
  EXPECT_EQ(there.records.at(0).stored_kib, 1000U);
  EXPECT_TRUE(there.records.at(0).exists);
  EXPECT_FALSE(night.inputs.dles[1].records.at(0).exists) << "its volume was written again";
  EXPECT_FALSE(night.inputs.dles[2].records.at(0).exists) << "on no volume, and not on holding disk";
  EXPECT_EQ(there.full_rates.size(), 1U);
}

// Its client may have recorded it: what the next level is made of is not what the server has.
TEST_F(NightTest, NothingIsBuiltOnALevelWhoseLaterDumpFailed) {
  record("/d1", 0, "20261118000000", "V-001");
  record("/d1", 1, "20261119000000", "V-001");
  record("/d2", 0, "20261118000000", "V-001");
  record("/d3", 0, "20261118000000", "V-001");
  put(root / "config/tapelist", "20261118000000 V-001 reuse\n");
  // Whether the level above may be made: it has a base that is there and did not fail since.
  const auto is_base = [this](size_t dle, int level) {
    const auto night = begin();
    const auto& disk = night.inputs.dles[dle];
    return disk.records.at(level).exists && !disk.failed.contains(level);
  };
  ASSERT_TRUE(is_base(0, 0));
  const auto line = [](const char* program, const char* disk, int level) {
    return "FAIL " + std::string(program) + " " + kHost + " " + disk + " 20261120000000 " +
           std::to_string(level) + " [so it went]\n";
  };
  put(root / "log/log.20261120000000.0",
      line("dumper", "/d1", 0) + line("planner", "/d2", 0) + line("dumper", "/d3", 1));
  EXPECT_FALSE(is_base(0, 0));
  EXPECT_TRUE(is_base(1, 0)) << "it never began";
  EXPECT_TRUE(is_base(2, 0)) << "another level failed";
  EXPECT_EQ(begin().decisions[0].reason.why, plan::Why::full_failed);
  put(root / "log/log.20261121000000.0",
      "FAIL dumper " + std::string(kHost) + " /d1 20261121000000 0 [so it went again]\n");
  EXPECT_EQ(begin().inputs.dles[0].failed.at(0), "20261120000000") << "the first one";
  std::filesystem::remove(root / "log/log.20261121000000.0");
  record("/d1", 0, "20261121000000", "V-002");
  put(root / "config/tapelist", "20261121000000 V-002 reuse\n20261118000000 V-001 reuse\n");
  EXPECT_TRUE(is_base(0, 0)) << "a later full went well";
}

// Without a full of its own the next level 1 would lack what the failed one had.
TEST_F(NightTest, AFullThatFailedIsGoneRoundWhereNoneMayBeMade) {
  record("/d1", 0, "20261118000000", "V-001");
  record("/d1", 1, "20261119000000", "V-002");
  record("/d2", 0, "20261118000000", "V-001");
  put(root / "config/tapelist", "20261118000000 V-001 reuse\n20261119000000 V-002 reuse\n");
  put(root / "log/log.20261120000000.0", "FAIL dumper " + std::string(kHost) +
                                             " /d1 20261120000000 0 [so it went]\nFAIL dumper " + kHost +
                                             " /d2 20261120000000 0 [so it went]\nFAIL dumper " + kHost +
                                             " /d3 20261120000000 0 [so it went]\n");
  for (const char* strategy : {"incronly", "nofull"}) {
    dumptype = std::string("strategy ") + strategy;
    const auto night = begin();
    EXPECT_EQ(night.decisions[0].fixed_level, 2) << strategy;
    EXPECT_EQ(night.decisions[0].fixed_reason.why, plan::Why::past_failed) << strategy;
    EXPECT_EQ(night.decisions[1].fixed_level, 1) << strategy;
    EXPECT_EQ(night.decisions[1].fixed_reason.why, plan::Why::on_failed) << strategy;
  }
  EXPECT_EQ(begin().decisions[2].fixed_reason.why, plan::Why::on_failed) << "nothing but the failed one";
}

// The operator's word outlives the night it was given for.
TEST_F(NightTest, AFullToldOfByForceEndsWhatFailedBefore) {
  disk_names = {"/d1"};
  dumptype = "strategy incronly";
  record("/d1", 0, "20261118000000", "V-001");
  put(root / "log/log.20261120000000.0",
      "FAIL dumper " + std::string(kHost) + " /d1 20261120000000 0 [so it went]\n");
  ASSERT_EQ(begin().decisions[0].fixed_reason.why, plan::Why::on_failed);
  auto told = info("/d1");
  told.command = compat::kForceFull;
  ASSERT_TRUE(compat::save_curinfo(root / "info", kHost, "/d1", told));
  EXPECT_EQ(begin().decisions[0].fixed_reason.why, plan::Why::incr_only);
  const auto ran = run([](dump::FakeClient& client) {
    client.estimates = {{"/d1", 1}};
    client.scripts["/d1"] = {dump::good_script("data")};
  });
  EXPECT_EQ(ran.dump("/d1").image.level, 1);
  EXPECT_EQ(info("/d1").stats.at(0).unixtime, base::unix_of_timestamp(timestamp) - 1);
  const auto night = begin_night(config, entries(config), Disks::all, "20991123000000", 0);
  EXPECT_FALSE(night.inputs.dles[0].failed.contains(0));
  EXPECT_EQ(night.decisions[0].fixed_level, -1) << "level 1 or 2, by size";
}

// The figures are those that the real planner's share of a night gives away.
TEST_F(NightTest, RunsOfACycleAreGuessedByVolumes) {
  globals = "dumpcycle 10 days\nrunspercycle -1";
  const auto runs = [this](const std::vector<int>& days_of_november, int runtapes = 1) {
    std::string list;
    for (const int day : days_of_november)
      list.insert(0, "202611" + std::string(day < 10 ? "0" : "") + std::to_string(day) + "230000 V-" +
                         std::to_string(list.size()) + " reuse\n");
    put(root / "config/tapelist", list);
    globals = "dumpcycle 10 days\nrunspercycle -1\nruntapes " + std::to_string(runtapes);
    return begin().inputs.capacity.runs_in_last_cycle;
  };
  EXPECT_EQ(runs({}), 10) << "one a day";
  EXPECT_EQ(runs({1, 2, 3}), 10) << "none of the last days";
  EXPECT_EQ(runs({13, 14, 15, 16, 17, 18, 19, 20, 21, 22}), 9) << "the first is ten days ago";
  EXPECT_EQ(runs({13, 14, 15, 16, 17, 18, 19, 20, 21, 22}, 2), 5) << "rounded up";
  EXPECT_EQ(runs({13, 16, 19, 22}), 3);
  EXPECT_EQ(runs({15, 16, 17, 18, 19, 20, 21, 22}), 10) << "young: 8 in 8 days";
  EXPECT_EQ(runs({18, 20, 22}), 6) << "3 in 5 days";
  EXPECT_EQ(runs({16, 21, 22}), 4) << "3 in 7 days, rounded down";
  EXPECT_EQ(runs({16, 20, 21, 22}, 2), 3) << "5 volumes, two a run";
  EXPECT_EQ(runs({23}), 10) << "tonight's alone";
}

TEST_F(NightTest, AHeldImageExists) {
  disk_names = {"/d1"};
  globals = "runtapes 0";
  (void)run([](dump::FakeClient& client) {
    client.estimates = {{"/d1", 1}};
    client.scripts["/d1"] = {dump::good_script("data")};
  });
  const auto night = begin();
  ASSERT_TRUE(night.inputs.dles[0].records.contains(0));
  EXPECT_TRUE(night.inputs.dles[0].records.at(0).exists);
  for (const auto& file : held()) std::filesystem::remove(file);
  EXPECT_FALSE(begin().inputs.dles[0].records.at(0).exists);
}

TEST_F(NightTest, WishesOfTheOperator) {
  auto info = compat::Curinfo{};
  info.command = compat::kForceFull | compat::kForceNoBump;
  ASSERT_TRUE(compat::save_curinfo(root / "info", kHost, "/d1", info));
  const auto night = begin();
  EXPECT_TRUE(night.inputs.dles[0].force_full);
  EXPECT_TRUE(night.inputs.dles[0].force_no_bump);
  EXPECT_FALSE(night.inputs.dles[0].force_bump);
  EXPECT_FALSE(night.inputs.dles[1].force_full);
}

TEST_F(NightTest, AMarkSkipsOneRunAndItsWishStays) {
  auto info = compat::Curinfo{};
  info.command = compat::kForceFull;
  ASSERT_TRUE(compat::save_curinfo(root / "info", kHost, "/d1", info));
  ASSERT_TRUE(set_skip_mark(root / "info", kHost, "/d1"));
  EXPECT_TRUE(begin().inputs.dles[0].skip_asked);
  EXPECT_FALSE(begin().inputs.dles[1].skip_asked);
  const auto usual = [](dump::FakeClient& client) {
    client.estimates = {{"/d1", 1}, {"/d2", 1}, {"/d3", 1}};
    for (const char* disk : {"/d1", "/d2", "/d3"}) client.scripts[disk] = {dump::good_script("data")};
  };
  const auto skipped = run(usual);
  EXPECT_EQ(skipped.status, 0);
  EXPECT_EQ(skipped.dump("/d1").phase, journal::Phase::skipped);
  EXPECT_EQ(skipped.dump("/d1").plan_reason, "skip-asked");
  EXPECT_EQ(skipped.dump("/d2").phase, journal::Phase::written);
  EXPECT_NE(log_text().find("SUCCESS planner " + std::string(kHost) + " /d1 " + timestamp +
                            " 0 [skipped: skip-asked]"),
            std::string::npos)
      << log_text();
  EXPECT_FALSE(has_skip_mark(root / "info", kHost, "/d1").value()) << "fulfilled";
  EXPECT_EQ(compat::load_curinfo(root / "info", kHost, "/d1").value().command, compat::kForceFull);
  EXPECT_TRUE(begin().inputs.dles[0].force_full);
}

// As Amanda does: a disk whose fulls are made elsewhere gets its incrementals until the next one is due.
TEST_F(NightTest, AFullThatSkipFullLeavesOutCountsAsMade) {
  disk_names = {"/d1"};
  dumptype = "skip-full yes";
  record("/d1", 0, "20261101000000", "V-001");
  ASSERT_TRUE(begin().decisions[0].fate == plan::Fate::skip);
  (void)run([](dump::FakeClient&) {});
  EXPECT_EQ(base::timestamp14(info("/d1").stats.at(0).unixtime), timestamp);
  EXPECT_EQ(info("/d1").stats.at(0).label, "V-001");
  const auto night = begin_night(config, entries(config), Disks::all, timestamp, 0);
  EXPECT_EQ(night.decisions[0].fate, plan::Fate::dump);
  EXPECT_FALSE(night.decisions[0].full) << "though no volume has a full of that date";
}

TEST_F(NightTest, ARecordThatCannotBeReadIsAWarning) {
  put(compat::curinfo_path(root / "info", kHost, "/d1"), "version: 0\nstats: nonsense\n");
  const auto night = begin();
  ASSERT_EQ(night.warnings.size(), 1U);
  EXPECT_NE(night.warnings[0].find("its history counts as unknown"), std::string::npos) << night.warnings[0];
  EXPECT_EQ(night.inputs.dles[0].last_level, -1);
}

TEST_F(NightTest, WishesAndAnswers) {
  disk_names = {"/d1", "/d2 { \n t\n data-path directtcp\n} #", "/d3"};
  const auto night = begin();
  const auto wishes = wishes_of(night);
  ASSERT_EQ(wishes.size(), 2U) << "what cannot be dumped is not asked for";
  EXPECT_EQ(wishes[0].entry.disk, "/d1");
  EXPECT_EQ(wishes[0].levels, std::vector<int>{0});
  EXPECT_EQ(wishes[1].entry.disk, "/d3");

  Answers answers(night);
  answers.take(EstimateAnswer{kHost, "/d1", 0, 4711, "", false, ""});
  answers.take(EstimateAnswer{kHost, "/d3", 0, -1, "no such directory", true, ""});
  EXPECT_EQ(answers.answers()[0].native_kib.at(0), 4711);
  EXPECT_EQ(answers.answers()[0].refusal, "");
  EXPECT_NE(answers.answers()[1].refusal.find("directtcp"), std::string::npos);
  EXPECT_EQ(answers.answers()[2].refusal, "no such directory");

  Answers silent(night);
  silent.take(EstimateAnswer{kHost, "/d1", 0, -1, "timeout", false, ""});
  EXPECT_EQ(silent.answers()[0].refusal, "") << "silence about a size does not forbid the dump";
  EXPECT_EQ(silent.answers()[0].trouble, "timeout");
  HostOutcome down;
  down.problem = "no route";
  silent.take({{{kHost, "/d1"}, down}, {{kHost, "/d3"}, HostOutcome{}}});
  EXPECT_EQ(silent.answers()[0].refusal, "no route");
  EXPECT_EQ(silent.answers()[2].refusal, "") << "reached in another way";
}

}  // namespace
}  // namespace headrace::drive
