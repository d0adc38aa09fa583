#include <gtest/gtest.h>

#include "client/test_bench.h"
#include "wire/sendsize.h"

namespace headrace::client {
namespace {

using testing::amgtar;
using testing::Answer;
using testing::DleText;
using testing::kOptions;
using testing::Machine;
namespace fs = std::filesystem;

class Sendsize : public ::testing::Test {
 protected:
  void SetUp() override { machine_.put("src/a", std::string(300000, 'a')); }
  wire::SendsizeReply estimate(const std::string& dles) {
    answer_ = machine_.ask("sendsize", kOptions + dles);
    EXPECT_TRUE(answer_.finished);
    EXPECT_FALSE(answer_.timed_out);
    auto reply = wire::parse_sendsize_reply(answer_.reply);
    EXPECT_TRUE(reply.has_value()) << answer_.reply;
    return reply.value_or(wire::SendsizeReply{});
  }
  int64_t kib(const wire::SendsizeReply& reply, int level) {
    const wire::Estimate* found = reply.find(machine_.src().native(), level);
    return found != nullptr && found->kib ? *found->kib : -99;
  }

  Machine machine_{"sendsize"};
  Answer answer_;
};

TEST_F(Sendsize, EstimatesEveryLevelByTar) {
  machine_.ask("sendbackup", kOptions + DleText{.disk = machine_.src()}.text());
  machine_.put("src/b", std::string(50000, 'b'));
  const auto lists = machine_.names_in("lists");
  for (const char* program : {"GNUTAR", "APPLICATION"}) {
    DleText dle{.disk = machine_.src(), .levels = "<level>0</level><level>1</level>"};
    dle.program = program;
    if (dle.program == "APPLICATION") dle.extra = amgtar();
    const auto reply = estimate(dle.text());
    EXPECT_EQ(kib(reply, 0), 350);
    EXPECT_EQ(kib(reply, 1), 60);
    // Estimates leave nothing behind.
    EXPECT_EQ(machine_.names_in("lists"), lists);
  }
}

TEST_F(Sendsize, TellsWhatItKnowsBeforeTheEnd) {
  const auto reply =
      estimate(DleText{.disk = machine_.src(), .levels = "<level>0</level><level>1</level>"}.text());
  ASSERT_FALSE(answer_.partials.empty());
  EXPECT_TRUE(answer_.reply.starts_with(answer_.partials.front()));
  auto features = wire::FeatureSet::amanda_351();
  features.remove(wire::Feature::partial_estimate);
  const Answer silent = machine_.ask(
      "sendsize", "OPTIONS features=" + features.hex() + ";\n" + DleText{.disk = machine_.src()}.text());
  EXPECT_TRUE(silent.partials.empty());
}

TEST_F(Sendsize, AMissingDirectoryIsExplained) {
  DleText missing{.disk = machine_.at("nosuch"), .levels = "<level>0</level><level>1</level>"};
  const auto reply = estimate(missing.text() + DleText{.disk = machine_.src()}.text());
  for (int level : {0, 1}) {
    const wire::Estimate* found = reply.find(missing.disk, level);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->kib, wire::kNoEstimate);
    ASSERT_EQ(found->errors.size(), 1U);
    EXPECT_EQ(found->errors[0], "/bin/tar exited with status 2: /bin/tar: " + missing.disk +
                                    ": Cannot open: No such file or directory");
  }
  EXPECT_EQ(kib(reply, 0), 300);
}

TEST_F(Sendsize, LeavesToTheServerWhatItCanEstimate) {
  struct {
    const char *methods, *levels;
    int64_t zero, one;
  } cases[] = {
      {"SERVER ", "<level>0<server>YES</server></level><level>1</level>", -1, -1},
      {"SERVER CLIENT ", "<level>0<server>YES</server></level><level>1</level>", -1, 300},
      {"SERVER CALCSIZE ", "<level>0</level><level>1<server>YES</server></level>", 300, -1},
      {"CALCSIZE ", "<level>0</level><level>1</level>", 300, 300},
      {"CLIENT SERVER ", "<level>0<server>YES</server></level><level>1</level>", 300, 300},
  };
  for (const auto& c : cases) {
    DleText dle{.disk = machine_.src(), .levels = c.levels};
    dle.extra = std::string("<estimate>") + c.methods + "</estimate>\n";
    const auto reply = estimate(dle.text());
    EXPECT_NEAR(static_cast<double>(kib(reply, 0)), static_cast<double>(c.zero), 10) << c.methods;
    EXPECT_NEAR(static_cast<double>(kib(reply, 1)), static_cast<double>(c.one), 10) << c.methods;
  }
}

TEST_F(Sendsize, ADiskTwiceIsOneWithAllLevels) {
  const auto reply = estimate(DleText{.disk = machine_.src()}.text() +
                              DleText{.disk = machine_.src(), .levels = "<level>1</level>"}.text());
  EXPECT_EQ(reply.estimates.size(), 2U);
  EXPECT_NE(kib(reply, 0), -99);
  EXPECT_NE(kib(reply, 1), -99);
}

TEST_F(Sendsize, NeverTwoOfOneSpindle) {
  const std::string log = machine_.at("log");
  machine_.use_tar("mkdir " + machine_.at("busy").native() + " 2>/dev/null || echo CLASH >> " + log +
                   "\necho run >> " + log + "\n/bin/tar \"$@\"\nrmdir " + machine_.at("busy").native() +
                   "\n");
  std::string dles;
  for (const char* name : {"one", "two", "three"}) {
    machine_.put(std::string(name) + "/f", "x");
    DleText dle{.disk = machine_.at(name)};
    dle.extra = "<spindle>7</spindle>\n";
    dles += dle.text();
  }
  EXPECT_EQ(estimate(dles).estimates.size(), 3U);
  EXPECT_EQ(machine_.get("log"), "run\nrun\nrun\n");
}

TEST_F(Sendsize, AnswersARequestThatCannotBeRead) {
  const Answer answer = machine_.ask("sendsize", kOptions + "<dle><bogus/></dle>");
  EXPECT_EQ(answer.reply, "OPTIONS features=" + wire::FeatureSet::ours_as_client().hex() +
                              ";\nERROR FORMAT ERROR IN REQUEST PACKET 'XML: Invalid bogus element'\n");
}

TEST_F(Sendsize, SaysWhichProgramItHasNot) {
  DleText dle{.disk = machine_.src()};
  dle.program = "DUMP";
  const auto reply = estimate(dle.text());
  const wire::Estimate* found = reply.find(machine_.src().native(), 0);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->errors, (std::vector<std::string>{"program DUMP is not supported by this client"}));
}

}  // namespace
}  // namespace headrace::client
