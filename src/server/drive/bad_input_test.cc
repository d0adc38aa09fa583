// Nights that begin with files or machines that are not as they were: defined in doc/planning.md, "Bad
// input".
#include <gmock/gmock.h>

#include "server/drive/night.h"
#include "server/drive/night_bench.h"
#include "server/plan/forecast.h"

namespace headrace::drive {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BadInput : public NightBench {
 protected:
  Night the_day_after(Disks which = Disks::all) {
    config = configuration();
    return begin_night(config, entries(config), which, plan::next_day(timestamp), 0);
  }
  void put_record_back(const fs::path& copy) {
    fs::remove_all(root / "info");
    fs::copy(copy, root / "info", fs::copy_options::recursive);
  }
  config::ServerConfig config;
};

TEST_F(BadInput, ARecordOlderThanTheCatalogIsMadeGoodByIt) {
  disk_names = {"/d1"};
  ASSERT_EQ(run(all_good).status, 0);
  const std::string first = timestamp;
  fs::copy(root / "info", root / "info-copy", fs::copy_options::recursive);
  ASSERT_EQ(run(all_good).status, 0);
  const std::string second = timestamp;
  EXPECT_EQ(the_day_after().inputs.dles[0].unrecorded, "") << "they agree";
  const auto agreed = the_day_after().inputs.dles[0];
  put_record_back(root / "info-copy");

  const auto dle = the_day_after().inputs.dles[0];
  EXPECT_EQ(dle.unrecorded, second);
  EXPECT_EQ(dle.records.at(0).timestamp, first);
  ASSERT_TRUE(dle.records.contains(1));
  EXPECT_EQ(dle.records.at(1).timestamp, second);
  EXPECT_EQ(dle.records.at(1).label, agreed.records.at(1).label);
  EXPECT_EQ(dle.records.at(1).native_kib, agreed.records.at(1).native_kib);
  EXPECT_TRUE(dle.records.at(1).exists);
  EXPECT_EQ(dle.last_level, 1);
  EXPECT_EQ(dle.last_level_runs, 1);
  EXPECT_EQ(dle.history.size(), agreed.history.size());
}

// A later full takes away the levels that were built on the one before it.
TEST_F(BadInput, AFullThatTheRecordLacksEndsItsLevels) {
  disk_names = {"/d1"};
  ASSERT_EQ(run(all_good).status, 0);
  ASSERT_EQ(run(all_good).status, 0);
  fs::copy(root / "info", root / "info-copy", fs::copy_options::recursive);
  auto forced = info("/d1");
  forced.command = compat::kForceFull;
  ASSERT_TRUE(compat::save_curinfo(root / "info", kHost, "/d1", forced));
  ASSERT_EQ(run(all_good).status, 0);
  put_record_back(root / "info-copy");
  const auto dle = the_day_after().inputs.dles[0];
  EXPECT_EQ(dle.records.size(), 1U);
  EXPECT_EQ(dle.records.at(0).timestamp, timestamp);
  EXPECT_EQ(dle.last_level, 0);
}

TEST_F(BadInput, WithoutAnyRecordADiskBeginsAnew) {
  disk_names = {"/d1"};
  ASSERT_EQ(run(all_good).status, 0);
  fs::remove_all(root / "info");
  EXPECT_TRUE(the_day_after().inputs.dles[0].records.empty()) << "so one is forgotten with amadmin delete";
}

TEST_F(BadInput, ARenamedDiskHearsOfItsOldName) {
  disk_names = {"/d1"};
  ASSERT_EQ(run(all_good).status, 0);
  disk_names = {"/d2"};
  const auto night = the_day_after();
  ASSERT_EQ(night.inputs.dles[0].former.size(), 1U);
  EXPECT_EQ(night.inputs.dles[0].former[0].disk, "/d1");
  EXPECT_EQ(night.inputs.dles[0].former[0].full, timestamp);
  EXPECT_EQ(night.inputs.dles[0].former[0].label, "V-001");
  EXPECT_TRUE(the_day_after(Disks::selected).inputs.dles[0].former.empty())
      << "the others may still be listed";
  disk_names = {"/d1", "/d2"};
  EXPECT_TRUE(the_day_after().inputs.dles[1].former.empty()) << "added, not renamed";

  disk_names = {"/d2"};
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.dump("/d2").image.level, 0);
  bool told = false;
  for (const auto& body : ran.events)
    if (const auto* note = std::get_if<journal::Note>(&body))
      told = told || note->text.find("if this is") != std::string::npos;
  EXPECT_TRUE(told);
  EXPECT_EQ(catalog_says("/d1"), "ok") << "the old name's dump is still there";
}

TEST_F(BadInput, WithEveryClientDownEachDiskFailsAndNoVolumeIsTouched) {
  const auto ran = run([](dump::FakeClient& client) { client.stop_listening(); });
  EXPECT_NE(ran.status, 0);
  for (const char* disk : {"/d1", "/d2", "/d3"}) {
    EXPECT_EQ(ran.dump(disk).phase, journal::Phase::failed);
    EXPECT_THAT(ran.dump(disk).failure, HasSubstr(kHost)) << "says whom it could not reach";
    EXPECT_NE(log_text().find("FAIL planner " + std::string(kHost) + " " + disk), std::string::npos)
        << log_text();
  }
  EXPECT_TRUE(labels().empty());
  EXPECT_TRUE(holding_is_empty());
}

// All that the changer has is in use: what is dumped stays held, safe and told.
TEST_F(BadInput, WithEveryVolumeInUseAllStaysHeld) {
  disk_names = {"/d1"};
  for (int volume = 0; volume < 3; ++volume) ASSERT_EQ(run(all_good).status, 0);
  ASSERT_EQ(labels().size(), 3U);
  globals = "tapecycle 10 tapes\nautolabel \"V-%%%\"";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status & 16, 16);
  ASSERT_FALSE(ran.state.no_volume.empty());
  EXPECT_EQ(ran.dump("/d1").phase, journal::Phase::left);
  EXPECT_FALSE(ran.dump("/d1").left_reason.empty());
  EXPECT_EQ(catalog_says("/d1"), "ok");
  EXPECT_EQ(labels().size(), 3U) << "none was written again before its time";
}

}  // namespace
}  // namespace headrace::drive
