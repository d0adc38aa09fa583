#include "cli/config_command.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace headrace::cli {
namespace {

const std::string kData = std::string(HEADRACE_TEST_DATA) + "/config/";

struct Output {
  int status = 0;
  std::string out, err;
};

template <class Run>
Output captured(Run run) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Output output;
  output.status = run();
  fflush(stdout);
  output.out = testing::internal::GetCapturedStdout();
  output.err = testing::internal::GetCapturedStderr();
  return output;
}

TEST(ConfigCommand, ChecksAConfigurationWithoutMistakes) {
  const Output output = captured([] { return config_check(kData + "minimal", false, {}); });
  EXPECT_EQ(output.status, 0) << output.err;
  EXPECT_NE(output.out.find("no mistake, 1 disk"), std::string::npos) << output.out;
  EXPECT_EQ(output.err, "");
}

TEST(ConfigCommand, ListsEveryMistakeWithItsPlace) {
  const Output output = captured([] { return config_check(kData + "mistakes", false, {}); });
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(
      output.err.find("mistakes/amanda.conf:3:1: 'dumpcylce' is not a parameter; did you mean 'dumpcycle'?"),
      std::string::npos)
      << output.err;
  EXPECT_NE(output.err.find("amanda.conf:4:11: an integer is expected"), std::string::npos) << output.err;
  EXPECT_NE(output.err.find("mistakes"), std::string::npos);
  EXPECT_EQ(output.out, "");
}

TEST(ConfigCommand, NamesWhatIsNotActedOn) {
  const Output output = captured([] { return config_check(kData + "everything", true, {}); });
  EXPECT_EQ(output.status, 0) << output.err;
  const auto json = nlohmann::json::parse(output.out);
  EXPECT_TRUE(json["ok"].get<bool>());
  bool taperscan = false;
  for (const auto& one : json["not_honoured"]) {
    EXPECT_GT(one["line"].get<int>(), 0) << one;
    taperscan = taperscan || one["parameter"] == "taperscan";
  }
  EXPECT_TRUE(taperscan) << output.out;
}

TEST(ConfigCommand, ReportsMistakesAsJson) {
  const Output output = captured([] { return config_check(kData + "mistakes", true, {}); });
  EXPECT_EQ(output.status, 1);
  const auto json = nlohmann::json::parse(output.out);
  EXPECT_FALSE(json["ok"].get<bool>());
  EXPECT_EQ(json["errors"][0]["line"], 3);
  EXPECT_EQ(json["errors"][0]["column"], 1);
}

TEST(ConfigCommand, AnUnknownConfigurationIsRefused) {
  const Output output = captured([] { return config_check("no-such-configuration", false, {}); });
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(output.err.find("/etc/amanda/no-such-configuration/amanda.conf"), std::string::npos)
      << output.err;
}

TEST(ConfigCommand, GetsAParameter) {
  Output output = captured([] { return config_get(kData + "minimal", "org", false, false, {}); });
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(output.out, "Minimal\n");
  output = captured([] { return config_get(kData + "minimal", "nonsense", false, false, {}); });
  EXPECT_EQ(output.status, 1);
  EXPECT_EQ(output.err, "no such parameter \"nonsense\"\n");
  const std::vector<std::string> overrides{"org=other"};
  output = captured([&] { return config_get(kData + "minimal", "ORG", false, true, overrides); });
  EXPECT_EQ(nlohmann::json::parse(output.out)["value"], "other");
}

TEST(ConfigCommand, ListsTheBlocksOfAType) {
  const Output output = captured([] { return config_get(kData + "minimal", "tapetype", true, false, {}); });
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(output.out, "DEFAULT_TAPE\n");
  EXPECT_EQ(captured([] { return config_get(kData + "minimal", "org", true, false, {}); }).status, 1);
}

TEST(ConfigCommand, ShowsAll) {
  const Output output = captured([] { return config_show(kData + "minimal", {}); });
  EXPECT_EQ(output.status, 0);
  EXPECT_NE(output.out.find("\nORG                   \"Minimal\"\n"), std::string::npos);
  const std::vector<std::string> wrong{"nonsense=1"};
  EXPECT_EQ(captured([&] { return config_show(kData + "minimal", wrong); }).status, 1);
}

}  // namespace
}  // namespace headrace::cli
