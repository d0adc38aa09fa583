#include "cli/restore_command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/file.h"
#include "cli/find_command.h"
#include "server/recover/test_lab.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

// What real Amanda left after two runs, under a configuration of ours.
class RestoreCommand : public ::testing::Test {
 protected:
  RestoreCommand() {
    options.config = root.string();
    options.host = "client.lab";
    options.disk = "/tmp/lab/med/data1";
    options.to = (root / "out").string();
    options.now = base::unix_of_timestamp("20261124120000");
  }

  // Runs it, keeping what it printed.
  int run() {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int status = restore(options);
    out = ::testing::internal::GetCapturedStdout();
    err = ::testing::internal::GetCapturedStderr();
    return status;
  }
  recover::LabCopy lab{HEADRACE_TEST_DATA};
  const fs::path root = lab.root();
  RestoreOptions options;
  std::string out, err;
};

TEST_F(RestoreCommand, RestoresAndSaysFromWhere) {
  EXPECT_EQ(run(), 0) << err;
  EXPECT_EQ(base::read_file(root / "out/f1.txt").value_or(""), "file 1\nmore\n");
  EXPECT_NE(out.find("Reading file 2 of volume VTAPE-001 (2026-11-23 01:31:59 level 0)\n"), std::string::npos)
      << out;
  EXPECT_NE(out.find("as of 2026-11-23 01:32:08 into " + options.to + ": 2 dumps, "), std::string::npos)
      << out;
  EXPECT_NE(out.find("All checksums are right."), std::string::npos);
}

TEST_F(RestoreCommand, TimesInSeveralForms) {
  for (const char* at : {"20261123013200", "2026-11-23 01:32:00", "2026-11-23T01:31"}) {
    options.at = at;
    options.to = (root / "out" / at).string();
    EXPECT_EQ(run(), 0) << at << err;
    EXPECT_FALSE(fs::exists(root / "out" / at / "new.txt")) << at;
  }
  options.at = "20261123";
  options.to = (root / "day").string();
  EXPECT_EQ(run(), 0) << err;
  EXPECT_TRUE(fs::exists(root / "day/new.txt")) << "a day means its end";
  for (const char* at : {"yesterday", "2026", "20261399"}) {
    options.at = at;
    EXPECT_EQ(run(), 1) << at;
  }
}

TEST_F(RestoreCommand, DamageIsExitStatusTwo) {
  const fs::path part = root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0";
  fs::resize_file(part, fs::file_size(part) - 512);
  EXPECT_EQ(run(), 2);
  EXPECT_NE(err.find("DAMAGED: file 2 of volume VTAPE-001"), std::string::npos) << err;
  EXPECT_NE(err.find("do not trust what is in " + options.to), std::string::npos) << err;
  EXPECT_EQ(out.find("Restored"), std::string::npos) << out;
}

TEST_F(RestoreCommand, UsageIsExitStatusOne) {
  fs::create_directories(root / "out");
  std::ofstream(root / "out/mine") << "x";
  EXPECT_EQ(run(), 1);
  EXPECT_NE(err.find("--into-existing"), std::string::npos) << err;
  options.to.clear();
  EXPECT_EQ(run(), 1) << "nowhere to";
  options.to = "/tmp/x";
  options.level = 0;
  EXPECT_EQ(run(), 1) << "--level without --stdout";
  options.level.reset();
  options.config = (root / "nosuch").string();
  EXPECT_EQ(run(), 1);
}

TEST_F(RestoreCommand, UnknownDiskIsExitStatusTwo) {
  options.disk = "/nosuch";
  EXPECT_EQ(run(), 2);
  EXPECT_NE(err.find("there are dumps of that host's disks"), std::string::npos) << err;
  EXPECT_FALSE(fs::exists(options.to));
}

TEST_F(RestoreCommand, ForPrograms) {
  options.json = true;
  EXPECT_EQ(run(), 0) << err;
  const auto json = nlohmann::json::parse(out);
  EXPECT_EQ(json["restored"], true);
  EXPECT_EQ(json["images"].size(), 2U);
  EXPECT_EQ(json["images"][1]["storage"], "HOLDING");
  EXPECT_EQ(json["native_bytes"], 20480);
}

TEST_F(RestoreCommand, ArchiveOnStandardOutput) {
  options.to.clear();
  options.to_stdout = true;
  options.level = 0;
  EXPECT_EQ(run(), 0) << err;
  EXPECT_EQ(
      out,
      base::read_file(root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0").value().substr(32768));
}

// By its date alone the level 1 of the lab's second run would be the newest for years.
TEST_F(RestoreCommand, ADumpFromTheFutureIsNotTakenForTheNewest) {
  options.now = base::unix_of_timestamp("20251124120000");
  EXPECT_EQ(run(), 2) << "both are dated in the future";
  EXPECT_NE(err.find("left out, as they are dated in the future (a clock was wrong): 20261123013159 level 0, "
                     "20261123013208 level 1; --at takes them"),
            std::string::npos)
      << err;
  options.at = "20261123";
  EXPECT_EQ(run(), 0) << err;
  EXPECT_TRUE(fs::exists(root / "out/new.txt"));
  EXPECT_NE(err.find("20261123013208 level 1 is dated in the future: when it was made"), std::string::npos)
      << err;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(find({.config = root.string(), .host = {}, .disks = {"/tmp/lab/med/data1"}, .now = options.now}),
            0);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "headrace find: client.lab:/tmp/lab/med/data1 has dumps that are dated in the future (a clock "
            "was wrong), "
            "which restore takes with --at alone: 20261123013159 level 0, 20261123013208 level 1\n");
  ::testing::internal::GetCapturedStdout();
}

TEST_F(RestoreCommand, AnIncrementalThatMayBuildOnAFullFromTheFutureIsNotRestoredUnasked) {
  std::ofstream(root / "log/log.20271123013159.0")
      << "SUCCESS dumper client.lab /tmp/lab/med/data1 20271123013159 0 [sec 1 kb 1 kps 1]\n";
  EXPECT_EQ(run(), 2);
  EXPECT_NE(err.find("20261123013208 level 1 may build on the dump that is dated 20271123013159 (level 0)"),
            std::string::npos)
      << err;
  EXPECT_NE(err.find("say --at 20261123013208"), std::string::npos) << err;
  EXPECT_FALSE(fs::exists(root / "out/f1.txt"));
  options.at = "20261123013208";
  EXPECT_EQ(run(), 0) << err;
  EXPECT_NE(err.find("put together by their dates"), std::string::npos) << err;
}

TEST_F(RestoreCommand, FindListsWhatThereIs) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(find({.config = root.string(), .host = {}, .disks = {}, .json = true, .now = options.now}), 0);
  const auto json = nlohmann::json::parse(::testing::internal::GetCapturedStdout());
  ASSERT_EQ(json.size(), 4U);
  EXPECT_EQ(json[0]["place"], "VTAPE-001");
  EXPECT_EQ(json[1]["storage"], "HOLDING");
  EXPECT_EQ(json[1]["status"], "OK");
}

}  // namespace
}  // namespace headrace::cli
