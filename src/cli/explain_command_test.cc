#include "cli/explain_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "server/recover/test_lab.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// The morning after two runs of the real Amanda, with nobody to ask.
class ExplainCommand : public ::testing::Test {
 protected:
  ExplainCommand() {
    options = {.config = root.string(), .disks = {"client.lab"}, .overrides = {}, .at = "20261124"};
    options.clients = false;
  }

  int run() {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int status = explain(options);
    std::fflush(stdout);
    out = ::testing::internal::GetCapturedStdout();
    err = ::testing::internal::GetCapturedStderr();
    return status;
  }
  recover::LabCopy lab{HEADRACE_TEST_DATA};
  const fs::path root = lab.root();
  ExplainOptions options;
  std::string out, err;
};

TEST_F(ExplainCommand, SaysForProgramsWhatItSaysForPeople) {
  options.disks = {"client.lab", "/tmp/lab/med/data1"};
  ASSERT_EQ(run(), 0) << err;
  EXPECT_THAT(out, HasSubstr("a full is due     in 6 days (dumpcycle 7 days)"));
  options.json = true;
  ASSERT_EQ(run(), 0) << err;
  const auto json = nlohmann::json::parse(out);
  EXPECT_EQ(json["timestamp"], "20261124000000");
  ASSERT_EQ(json["disks"].size(), 1U);
  const auto& disk = json["disks"][0];
  EXPECT_EQ(disk["disk"], "/tmp/lab/med/data1");
  ASSERT_EQ(disk["records"].size(), 2U);
  EXPECT_EQ(disk["records"][0]["timestamp"], "20261123013159");
  EXPECT_EQ(disk["records"][0]["label"], "VTAPE-001");
  EXPECT_EQ(disk["records"][0]["exists"], true);
  EXPECT_EQ(disk["records"][1]["label"], "") << "on holding disk";
  EXPECT_EQ(disk["due"]["full"], "in");
  EXPECT_EQ(disk["due"]["days"], 6);
  EXPECT_EQ(disk["last_level"], 1);
  EXPECT_EQ(disk["tonight"], "dump");
  EXPECT_EQ(disk["dump"]["estimate"], "server");
  EXPECT_TRUE(disk["dump"]["code"].is_string());
  EXPECT_THAT(std::string(disk["dump"]["reason"]), testing::Not(testing::IsEmpty()));
  EXPECT_EQ(json["night"]["dumps"], 2) << "of all disks, whichever are named";
}

TEST_F(ExplainCommand, ADiskThatIsLeftOutSaysWhy) {
  options.json = true;
  options.overrides = {"dumptype:lab:ignore=yes"};
  ASSERT_EQ(run(), 0) << err;
  const auto json = nlohmann::json::parse(out);
  ASSERT_EQ(json["disks"].size(), 2U);
  EXPECT_EQ(json["disks"][0]["tonight"], "leave out");
  EXPECT_EQ(json["disks"][0]["reason"], "ignore");
  EXPECT_FALSE(json["disks"][0].contains("dump"));
}

TEST_F(ExplainCommand, ADiskWithoutAPast) {
  fs::remove_all(root / "info");
  options.json = true;
  ASSERT_EQ(run(), 0) << err;
  const auto disk = nlohmann::json::parse(out)["disks"][0];
  EXPECT_EQ(disk["due"]["full"], "missing");
  EXPECT_TRUE(disk["due"]["days"].is_null());
  EXPECT_EQ(disk["last_level"], -1);
  EXPECT_TRUE(disk["records"].empty());
  EXPECT_EQ(disk["dump"]["level"], 0);
}

TEST_F(ExplainCommand, ADiskThatIsNotThereIsExitStatusOne) {
  options.disks = {"client.lab", "/nosuch"};
  EXPECT_EQ(run(), 1);
}

}  // namespace
}  // namespace headrace::cli
