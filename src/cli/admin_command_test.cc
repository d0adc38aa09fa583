#include "cli/admin_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "compat/curinfo.h"
#include "server/drive/skip_mark.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AdminCommand : public testing::Test {
 protected:
  AdminCommand() {
    std::string pattern = testing::TempDir() + "admin.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "info");
    std::ofstream(root_ / "amanda.conf") << "org \"lab\"\ninfofile \"" << (root_ / "info").native() << R"("
define dumptype usual {
    program "GNUTAR"
}
define dumptype incrementals {
    usual
    strategy nofull
}
define dumptype fulls {
    usual
    strategy noinc
}
)";
    std::ofstream(root_ / "disklist")
        << "mill /home usual\nmill /srv usual\nmill /log incrementals\nmill /db fulls\n";
  }
  ~AdminCommand() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  int wished(const std::string& word, std::vector<std::string> disks, bool json = false) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = wish({root_.native(), word, std::move(disks), {}, json});
    std::fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return status;
  }
  uint32_t command(const std::string& disk) const {
    return compat::load_curinfo(root_ / "info", "mill", disk).value().command;
  }

  bool skips(const std::string& disk) const {
    return drive::has_skip_mark(root_ / "info", "mill", disk).value();
  }

  fs::path root_;
  std::string out_, err_;
};

TEST_F(AdminCommand, AWishStandsInTheRecordAndLeavesTheRestAlone) {
  compat::Curinfo info;
  info.record_dump({0, 2000, 1000, 10, 1795395316, false});
  ASSERT_TRUE(compat::save_curinfo(root_ / "info", "mill", "/home", info));
  EXPECT_EQ(wished("force", {"mill", "/home"}), 0);
  EXPECT_EQ(out_, "mill:/home will be dumped in full in the next run\n");
  info.command = compat::kForceFull;
  EXPECT_EQ(compat::load_curinfo(root_ / "info", "mill", "/home").value(), info);
  EXPECT_EQ(command("/srv"), 0U);
}

TEST_F(AdminCommand, TheLastWishCounts) {
  for (const auto& [word, bit] : {std::pair("force", compat::kForceFull),
                                  {"force-bump", compat::kForceBump},
                                  {"force-no-bump", compat::kForceNoBump},
                                  {"force-level-1", compat::kForceLevel1},
                                  {"unforce", 0U}}) {
    EXPECT_EQ(wished(word, {"mill", "/srv"}), 0);
    EXPECT_EQ(command("/srv"), bit) << word;
  }
}

TEST_F(AdminCommand, ADiskIsSkippedAndItsOtherWishStays) {
  EXPECT_EQ(wished("force", {"mill", "/srv"}), 0);
  EXPECT_EQ(wished("skip", {"mill", "/srv"}), 0);
  EXPECT_EQ(out_, "mill:/srv will be left out of the next run\n");
  EXPECT_TRUE(skips("/srv"));
  EXPECT_FALSE(skips("/home"));
  EXPECT_EQ(command("/srv"), compat::kForceFull);
  EXPECT_EQ(wished("skip", {"mill", "/srv"}), 0) << "again is no error";
  EXPECT_EQ(wished("unskip", {"mill", "/srv"}), 0);
  EXPECT_EQ(out_, "mill:/srv will be planned as usual\n");
  EXPECT_FALSE(skips("/srv"));
  EXPECT_EQ(command("/srv"), compat::kForceFull);
  EXPECT_EQ(wished("unskip", {"mill", "/srv"}), 0) << "nor is what is not there";
}

TEST_F(AdminCommand, AWishForADumpEndsThatToSkip) {
  for (const char* word : {"force", "force-bump", "unforce"}) {
    EXPECT_EQ(wished("skip", {"mill", "/srv"}), 0);
    EXPECT_EQ(wished(word, {"mill", "/srv"}), 0);
    EXPECT_FALSE(skips("/srv")) << word;
  }
}

TEST_F(AdminCommand, WhatThePlanWouldNotHeedIsSaid) {
  EXPECT_EQ(wished("force", {"mill"}), 1);
  EXPECT_THAT(err_, HasSubstr("mill:/log: strategy nofull makes no full"));
  EXPECT_EQ(command("/home"), compat::kForceFull) << "the others are done";
  EXPECT_EQ(command("/log"), 0U);
  EXPECT_EQ(wished("force-bump", {"mill", "/db"}), 1);
  EXPECT_THAT(err_, HasSubstr("strategy noinc makes fulls only"));
}

TEST_F(AdminCommand, ForPrograms) {
  EXPECT_EQ(wished("force", {"mill", "/home"}, true), 0);
  EXPECT_THAT(out_, HasSubstr("\"wish\": \"force\""));
  EXPECT_EQ(wished("force", {"nobody"}, true), 1);
  EXPECT_EQ(wished("nonsense", {"mill", "/home"}), 1);
  EXPECT_THAT(err_, HasSubstr("nonsense is none of"));
}

TEST_F(AdminCommand, ARecordThatCannotBeReadStaysAsItIs) {
  const auto file = compat::curinfo_path(root_ / "info", "mill", "/home");
  fs::create_directories(file.parent_path());
  std::ofstream(file) << "version: 0\nstats: nonsense\n";
  EXPECT_EQ(wished("force", {"mill", "/home"}), 1);
  EXPECT_THAT(err_, HasSubstr(file.native() + ":2"));
}

}  // namespace
}  // namespace headrace::cli
