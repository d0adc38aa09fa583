#include "server/catalog/catalog.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>

#include "base/clock.h"
#include "base/file.h"
#include "compat/tapelist.h"
#include "server/catalog/dates.h"
#include "server/catalog/find.h"

namespace headrace::catalog {
namespace {

namespace fs = std::filesystem;

const fs::path kData = fs::path(HEADRACE_TEST_DATA) / "compat";
const std::string kHost = "client.lab";
const std::string kDisk = "/tmp/lab/med/data1";

// A directory with a tapelist, logs and a holding disk to be filled.
class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() {
    char name[] = "/tmp/headrace-catalog-XXXXXX";
    directory = ::mkdtemp(name);
    fs::create_directories(directory / "log");
    sources = {.config_name = "lab",
               .logdir = directory / "log",
               .tapelist = directory / "tapelist",
               .holding_directories = {directory / "holding"}};
  }
  ~CatalogTest() override { fs::remove_all(directory); }

  // Two runs of real Amanda: level 0 on a volume, level 1 on the holding disk.
  void use_lab() {
    fs::copy(kData / "lab/log", directory / "log", fs::copy_options::recursive);
    fs::copy(kData / "lab/tapelist", directory / "tapelist");
    fs::copy(kData / "lab/holding", directory / "holding", fs::copy_options::recursive);
  }
  // Several runs of real Amanda with splitting, spanning, vaulting and a failure.
  void use_t1() {
    sources.config_name = "t1";
    for (const auto& [name, stamp] : {std::pair{"amdump", "20261123005515"},
                                      {"amflush-spanning", "20261123005703"},
                                      {"amvault", "20261123010234"},
                                      {"direct-and-fail", "20261123005732"}}) {
      fs::copy(kData / "logs" / (std::string(name) + ".log"),
               directory / "log" / ("log." + std::string(stamp) + ".0"));
    }
    fs::copy(kData / "tapelist", directory / "tapelist");
  }
  void forget_volume(const std::string& label) {
    ASSERT_TRUE(
        compat::update_tapelist(directory / "tapelist", [&](compat::Tapelist& list) -> base::Result<> {
          EXPECT_TRUE(list.remove(label));
          return {};
        }));
  }
  void write_log(const std::string& stamp, const std::string& text) {
    ASSERT_TRUE(base::append_locked(directory / "log" / ("log." + stamp + ".0"), text));
  }
  void write_tapelist(const std::string& text) {
    ASSERT_TRUE(base::replace_file(directory / "tapelist", text, 0600));
  }
  Catalog loaded() {
    auto catalog = load(sources);
    EXPECT_TRUE(catalog) << catalog.error().what();
    return catalog ? *catalog : Catalog{};
  }
  fs::path directory;
  Sources sources;
};

TEST_F(CatalogTest, NothingThereIsAnEmptyCatalog) {
  const Catalog catalog = loaded();
  EXPECT_TRUE(catalog.images().empty());
  const auto chain = catalog.chain("h", "/d", "");
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().what(), "no dump of h:/d is known, nor any other");
}

TEST_F(CatalogTest, RealRunsOnVolumeAndHoldingDisk) {
  use_lab();
  const Catalog catalog = loaded();
  EXPECT_TRUE(catalog.warnings().empty());
  const auto copies = catalog.images_of(kHost, kDisk);
  ASSERT_EQ(copies.size(), 2U);
  const Image& held = *copies[0];
  EXPECT_EQ(held.level, 1);
  EXPECT_EQ(held.storage, "HOLDING");
  EXPECT_EQ(held.bytes, 10240U);
  EXPECT_EQ(held.server_crc.text(), "81548c96:10240");
  EXPECT_EQ(held.holding_file.filename(), "client.lab._tmp_lab_med_data1.1");
  const Image& taped = *copies[1];
  EXPECT_EQ(taped.status, ImageStatus::ok);
  EXPECT_EQ(taped.storage, "lab");
  EXPECT_EQ(taped.native_crc.text(), "1738d058:10240");
  EXPECT_EQ(taped.native_kib, 10);
  ASSERT_EQ(taped.parts.size(), 1U);
  EXPECT_EQ(taped.parts[0].label, "VTAPE-001");
  EXPECT_EQ(taped.parts[0].write_timestamp, "20261123013159");
  EXPECT_EQ(taped.parts[0].fileno, 2);
  EXPECT_EQ(taped.parts[0].total, 1);

  const auto chain = catalog.chain(kHost, kDisk, "");
  ASSERT_TRUE(chain) << chain.error().what();
  ASSERT_EQ(chain->size(), 2U);
  EXPECT_EQ(chain->front().level, 0);
  EXPECT_EQ(chain->back().level, 1);
  const auto before = catalog.chain(kHost, kDisk, "20261123013207");
  ASSERT_TRUE(before);
  ASSERT_EQ(before->size(), 1U);
  EXPECT_FALSE(catalog.chain(kHost, kDisk, "20261123013158"));
}

TEST_F(CatalogTest, ListsLikeTheRealOne) {
  use_t1();
  EXPECT_EQ(find_table(find_rows(loaded(), "", {})),
            base::read_file(kData / "logs/amadmin-find.txt").value());
  forget_volume("T1-003");
  const Catalog catalog = loaded();
  EXPECT_EQ(find_table(find_rows(catalog, "localhost", {"/srv/d2"})),
            base::read_file(kData / "logs/amadmin-find-missing.txt").value());
  EXPECT_EQ(find_table(find_rows(catalog, "elsewhere", {})), "\nNo dump to list\n");
}

TEST_F(CatalogTest, DumpOverTwoVolumesLosesItsEndWithTheSecond) {
  use_t1();
  const auto whole = loaded().chain("localhost", "/srv/d2", "");
  ASSERT_TRUE(whole) << whole.error().what();
  EXPECT_EQ(whole->back().parts.size(), 6U);
  EXPECT_EQ(whole->back().bytes, 5501204U);
  EXPECT_EQ(whole->back().parts[4].label, "T1-003");
  forget_volume("T1-003");
  const Catalog catalog = loaded();
  const auto cut = catalog.chain("localhost", "/srv/d2", "");
  ASSERT_FALSE(cut);
  EXPECT_EQ(
      cut.error().what(),
      "the newest dump of localhost:/srv/d2, 20261123005630 level 1, cannot be restored: its copy is "
      "missing a part (part 5 of 6 is on no volume any more). For the state before it give an earlier time "
      "with --at");
  EXPECT_TRUE(catalog.chain("localhost", "/srv/d2", "20261123005515"));
  EXPECT_EQ(catalog.newest("localhost", "/srv/d2", "", {})->level, 0) << "the newest that is complete";
}

TEST_F(CatalogTest, RelabelledVolumeHidesWhatItHad) {
  use_t1();
  ASSERT_TRUE(compat::update_tapelist(directory / "tapelist", [](compat::Tapelist& list) {
    compat::TapelistEntry entry = *list.find("T1-001");
    entry.timestamp = "20261201000000";
    return list.put(entry);
  }));
  const Catalog catalog = loaded();
  const auto chain = catalog.chain("localhost", "/srv/d2", "");
  ASSERT_FALSE(chain);
  EXPECT_EQ(
      chain.error().what(),
      "localhost:/srv/d2 of 20261123005630 level 1 needs the dump of 20261123005515 level 0 before it, but "
      "no copy of it is left on any volume or holding disk");
  // The vaulted copy of another disk still stands in for the one that is gone.
  const auto vaulted = catalog.chain("localhost", "/srv/d1", "20261123005515");
  ASSERT_TRUE(vaulted) << vaulted.error().what();
  EXPECT_EQ(vaulted->front().storage, "off");
}

TEST_F(CatalogTest, PartWrittenAgainCountsOnce) {
  write_tapelist("20260101000000 B reuse\n20260101000000 A reuse\n");
  write_log(
      "20260101000000",
      "START taper datestamp 20260101000000 \"ST:s\" \"POOL:p\" label A tape 1\n"
      "PART taper \"ST:s\" \"POOL:p\" A 1 h / 20260101000000 1/-1 0 [sec 1 bytes 100 kps 1]\n"
      "PARTPARTIAL taper \"ST:s\" \"POOL:p\" A 2 h / 20260101000000 2/-1 0 [sec 1 bytes 50 kps 1] \"full\"\n"
      "START taper datestamp 20260101000000 \"ST:s\" \"POOL:p\" label B tape 2\n"
      "PART taper \"ST:s\" \"POOL:p\" B 1 h / 20260101000000 2/-1 0 [sec 1 bytes 70 kps 1]\n"
      "DONE taper \"ST:s\" \"POOL:p\" h / 20260101000000 2 0 1:1 1:1 1:170 [sec 1 bytes 170 kps 1]\n");
  const auto chain = loaded().chain("h", "/", "");
  ASSERT_TRUE(chain) << chain.error().what();
  const Image& image = chain->front();
  EXPECT_EQ(image.bytes, 170U);
  ASSERT_EQ(image.parts.size(), 3U);
  EXPECT_EQ(std::ranges::count(image.parts, true, &Part::ok), 2);
  EXPECT_EQ(image.parts.back().label, "B");
}

TEST_F(CatalogTest, RetriedAndCutShortImages) {
  write_tapelist("20260102000000 B reuse\n20260101000000 A reuse\n");
  write_log("20260101000000",
            "START taper datestamp 20260101000000 label A tape 1\n"
            "PART taper A 1 h / 20260101000000 1/-1 0 [sec 1 bytes 100 kps 1]\n"
            "PARTIAL taper h / 20260101000000 1 0 [sec 1 bytes 100 kps 1] \"tape error\"\n"
            "PART taper A 2 h / 20260101000000 1/-1 0 [sec 1 bytes 120 kps 1]\n"
            "DONE taper h / 20260101000000 1 0 [sec 1 bytes 120 kps 1]\n"
            "PART taper A 3 h /cut 20260101000000 1/-1 0 [sec 1 bytes 120 kps 1]\n");
  const Catalog catalog = loaded();
  const auto good = catalog.chain("h", "/", "");
  ASSERT_TRUE(good) << good.error().what();
  EXPECT_EQ(good->front().parts[0].fileno, 2);
  EXPECT_EQ(good->front().storage, "lab") << "logs without ST: mean the configuration's own";
  const auto cut = catalog.chain("h", "/cut", "");
  ASSERT_FALSE(cut);
  EXPECT_NE(cut.error().what().find("unfinished"), std::string::npos) << cut.error().what();
}

// Which dumps make a chain: a line of "<day><level><how>" a dump, how: + complete, l recorded but lost,
// p partial and not recorded, m missing its part.
struct ChainCase {
  const char* dumps;
  const char* chain;  // "<day>…", or the beginning of an error
};
class ChainTable : public CatalogTest, public ::testing::WithParamInterface<ChainCase> {};

TEST_P(ChainTable, TakesTheRightDumps) {
  std::string tapelist;
  std::string dumps = GetParam().dumps;
  for (size_t i = 0; i < dumps.size(); i += 4) {
    const std::string stamp = std::string("2026010") + dumps[i] + "000000";
    const std::string label = std::string("V") + dumps[i];
    const std::string key = " h / " + stamp + " ";
    const char level = dumps[i + 1];
    const char how = dumps[i + 2];
    std::string log = "START planner date " + stamp + "\n";
    if (how != 'p') log += "SUCCESS dumper h / " + stamp + ' ' + level + " [sec 1 kb 1 kps 1]\n";
    if (how != 'l') {
      log += "START taper datestamp " + stamp + " label " + label + " tape 1\nPART taper " + label +
             " 1 h / " + stamp + " 1/-1 " + level + " [sec 1 bytes 10 kps 1]\n";
    }
    const std::string end = std::string(how == 'm' ? " 2 " : " 1 ") + level + " [sec 1 bytes 10 kps 1]";
    if (how == 'p') log += "PARTIAL taper h / " + stamp + end + " \"cut\"\n";
    if (how == '+' || how == 'm') log += "DONE taper h / " + stamp + end + "\n";
    write_log(stamp, log);
    tapelist += stamp + ' ' + label + " reuse\n";
  }
  write_tapelist(tapelist);
  const auto chain = loaded().chain("h", "/", "");
  std::string got;
  if (chain) {
    for (const Image& image : *chain) got += image.timestamp[7];
  } else {
    got = chain.error().what().substr(0, std::string_view(GetParam().chain).size());
  }
  EXPECT_EQ(got, GetParam().chain) << dumps;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ChainTable,
    ::testing::Values(
        ChainCase{"10+", "1"}, ChainCase{"10+ 21+", "12"}, ChainCase{"10+ 21+ 31+", "13"},
        ChainCase{"10+ 21+ 32+", "123"}, ChainCase{"10+ 21+ 32+ 42+", "124"},
        ChainCase{"10+ 21+ 32+ 41+", "14"}, ChainCase{"10+ 21+ 30+ 41+", "34"},
        ChainCase{"10+ 21+ 32+ 40+", "4"},
        // A full that failed on its client is no base of what follows.
        ChainCase{"10+ 20p 31+", "13"}, ChainCase{"10+ 21p 31+", "13"},
        // One that succeeded and is lost is.
        ChainCase{"10+ 20l 31+", "h:/ of 20260103000000 level 1 needs the dump of 20260102000000 level 0"},
        ChainCase{"10+ 20m 31+", "h:/ of 20260103000000 level 1 needs the dump of 20260102000000 level 0"},
        ChainCase{"10+ 21l 32+", "h:/ of 20260103000000 level 2 needs the dump of 20260102000000 level 1"},
        ChainCase{"10+ 21p", "the newest dump of h:/, 20260102000000 level 1, cannot"},
        ChainCase{"10+ 21l", "the newest dump of h:/, 20260102000000 level 1, cannot"},
        ChainCase{"21+", "h:/ of 20260102000000 level 1 needs a dump of a lower level"}));

TEST_F(CatalogTest, HoldingDiskFaultsAreSaid) {
  use_lab();
  const fs::path date = directory / "holding/20261123013208";
  fs::resize_file(date / "client.lab._tmp_lab_med_data1.1", 100);
  fs::rename(date / "client.lab._tmp_lab_med_data2.1", date / "client.lab._tmp_lab_med_data2.1.tmp");
  const Catalog catalog = loaded();
  ASSERT_EQ(catalog.warnings().size(), 1U);
  EXPECT_NE(catalog.warnings()[0].find("shorter than a header"), std::string::npos);
  EXPECT_EQ(catalog.images().size(), 2U) << "what is still being written does not count";
  EXPECT_FALSE(catalog.chain(kHost, kDisk, "")) << "the log says that a level 1 was made";
}

// Nobody trims the logs, and a year of them is too much to read for one question.
TEST_F(CatalogTest, LogsFromLongBeforeAllThatIsLeftAreNotRead) {
  write_tapelist("20260601220000 V2 reuse\n");
  const auto dump = [this](const std::string& stamp, int level, const std::string& label) {
    write_log(stamp, "SUCCESS dumper h /d " + stamp + " " + std::to_string(level) +
                         " 1:10 1:10 [sec 1 kb 10 kps 10 orig-kb 10]\n" + "START taper datestamp " + stamp +
                         " label " + label + " tape 1\nPART taper " + label + " 1 h /d " + stamp + " 1/1 " +
                         std::to_string(level) + " [sec 1 bytes 10 kps 10]\nDONE taper h /d " + stamp +
                         " 1 " + std::to_string(level) + " [sec 1 bytes 10 kps 10]\n");
  };
  write_log("20260301220000", "PART taper nonsense\n");
  write_log("20260520220000", "PART taper nonsense\n");
  dump("20260525220000", 0, "V1");  // written over since
  dump("20260601220000", 1, "V2");
  const Catalog catalog = loaded();
  ASSERT_EQ(catalog.warnings().size(), 1U);
  EXPECT_NE(catalog.warnings()[0].find("20260520220000"), std::string::npos);
  const auto chain = catalog.chain("h", "/d", "");
  ASSERT_FALSE(chain);
  EXPECT_NE(chain.error().what().find("needs the dump of 20260525220000 level 0 before it"),
            std::string::npos)
      << chain.error().what();
}

// A volume that is kept for good keeps the logs of its time, and all since.
TEST_F(CatalogTest, AnOldVolumeKeepsTheLogsSince) {
  write_tapelist("20260601220000 V2 reuse\n20250101220000 V0 no-reuse\n");
  write_log("20250101220000", "PART taper nonsense\n");
  write_log("20260301220000", "PART taper nonsense\n");
  EXPECT_EQ(loaded().warnings().size(), 2U);
}

TEST_F(CatalogTest, BadTapelistIsAnErrorBadLogAWarning) {
  use_t1();
  write_log("20261123005515", "PART taper nonsense\n");
  const Catalog catalog = loaded();
  ASSERT_EQ(catalog.warnings().size(), 1U);
  EXPECT_NE(catalog.warnings()[0].find("log.20261123005515.0:"), std::string::npos);
  write_tapelist("nonsense\n");
  EXPECT_FALSE(load(sources));
}

TEST_F(CatalogTest, UnknownDiskNamesThoseThatAre) {
  use_lab();
  const Catalog catalog = loaded();
  EXPECT_EQ(catalog.chain(kHost, "/x", "").error().what(),
            "no dump of client.lab:/x is known; there are dumps of that host's disks /tmp/lab/med/data1, "
            "/tmp/lab/med/data2");
  EXPECT_EQ(catalog.chain("x", "/x", "").error().what(),
            "no dump of x:/x is known; there are dumps of the hosts client.lab");
}

TEST(Dates, ADumpADayAheadIsNotFromTheFuture) {
  EXPECT_EQ(latest_date(base::unix_of_timestamp("20261124120000")), "20261125130000");
}

TEST(Dates, WhatMayBuildOnADumpFromTheFutureIsInDoubt) {
  const auto image = [](const char* stamp, int level) {
    Image made;
    made.timestamp = stamp;
    made.level = level;
    return made;
  };
  const auto dump = [](const char* stamp, int level) { return DumpFact{"h", "/", stamp, level}; };
  const std::vector<Image> full{image("20261101000000", 0)};
  const std::vector<Image> both{image("20261101000000", 0), image("20261102000000", 1)};
  EXPECT_EQ(doubt_about(both, {}), "");
  EXPECT_EQ(doubt_about(full, {dump("20271101000000", 0)}), "") << "a full builds on nothing";
  EXPECT_EQ(doubt_about(both, {dump("20271101000000", 1)}), "") << "both build on the full";
  EXPECT_NE(doubt_about(both, {dump("20271101000000", 0)}), "");
  EXPECT_EQ(doubt_about({image("20271101000000", 0)}, {dump("20271101000000", 0)}), "");
  EXPECT_NE(
      doubt_about({image("20261101000000", 0), image("20271102000000", 1)}, {dump("20271102000000", 1)}), "");
}

TEST_F(CatalogTest, DumpsDatedAfterAMomentAreKnownOnce) {
  use_lab();
  const Catalog catalog = loaded();
  const auto later = catalog.dated_after(kHost, kDisk, "20261123013200");
  EXPECT_EQ(text_of(later), "20261123013208 level 1");
  EXPECT_TRUE(catalog.dated_after(kHost, kDisk, "20261123013208").empty());
  EXPECT_EQ(text_of(catalog.dated_after(kHost, kDisk, "")), "20261123013159 level 0, 20261123013208 level 1");
}

}  // namespace
}  // namespace headrace::catalog
