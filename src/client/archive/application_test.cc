#include <gtest/gtest.h>

#include "client/archive/application_api.h"
#include "client/test_bench.h"
#include "wire/selfcheck.h"
#include "wire/sendsize.h"

namespace headrace::client {
namespace {

using testing::Answer;
using testing::DleText;
using testing::kOptions;
using testing::Machine;
using testing::property;
namespace fs = std::filesystem;

// What amgtar 3.5.1 answers.
constexpr std::string_view kAmgtarSupport =
    "CONFIG YES\nHOST YES\nDISK YES\nMAX-LEVEL 399\nINDEX-LINE YES\nINDEX-XML NO\nMESSAGE-LINE YES\n"
    "MESSAGE-SELFCHECK-JSON YES\nMESSAGE-XML NO\nRECORD YES\nINCLUDE-FILE YES\nINCLUDE-LIST YES\n"
    "INCLUDE-OPTIONAL YES\nEXCLUDE-FILE YES\nEXCLUDE-LIST YES\nEXCLUDE-OPTIONAL YES\nCOLLECTION NO\n"
    "MULTI-ESTIMATE YES\nCALCSIZE YES\nCLIENT-ESTIMATE YES\nDISCOVER YES\nAMFEATURES YES\n"
    "RECOVER-DUMP-STATE-FILE YES\nDAR YES\nSTATE-STREAM YES\nTIMESTAMP YES\n";

std::string joined(const base::Result<std::vector<std::string>>& words) {
  if (!words) return words.error().what();
  std::string out;
  for (const std::string& word : *words) out += out.empty() ? word : " " + word;
  return out;
}

class PluginArguments : public ::testing::Test {
 protected:
  PluginArguments() {
    dle_.disk = "/home/a b";
    dle_.application.plugin = "amgtar";
    dle_.index = true;
    request_.hostname = "client.lab";
    request_.peer = wire::FeatureSet::amanda_351();
    request_.wire.options.config = "lab";
    request_.wire.options.timestamp = "20261123011349";
  }
  std::string command(PluginCommand command, std::vector<int> levels, int state_fd = -1) {
    return joined(plugin_arguments(command,
                                   {.dle = dle_,
                                    .properties = properties_,
                                    .request = request_,
                                    .levels = std::move(levels),
                                    .state_fd = state_fd},
                                   support_));
  }

  wire::Dle dle_;
  std::vector<wire::Property> properties_;
  ClientRequest request_;
  Support support_ = Support::parse(kAmgtarSupport);
};

TEST_F(PluginArguments, AreThoseOfTheRealClient) {
  EXPECT_EQ(command(PluginCommand::backup, {1}, 5),
            "amgtar backup --message line --config lab --timestamp 20261123011349 --host client.lab --disk "
            "/home/a b --device /home/a b --level 1 --index line --state-stream 5 --record --amfeatures "
            "ffffffff9efefbfffffffffffffff3fffbf71f");
  EXPECT_EQ(command(PluginCommand::estimate, {0, 1}),
            "amgtar estimate --message line --config lab --timestamp 20261123011349 --host client.lab --disk "
            "/home/a b --device /home/a b --level 0 --level 1 --amfeatures "
            "ffffffff9efefbfffffffffffffff3fffbf71f");
  EXPECT_EQ(
      command(PluginCommand::selfcheck, {}),
      "amgtar selfcheck --message json --config lab --host client.lab --disk /home/a b --device /home/a b "
      "--index line --record --amfeatures ffffffff9efefbfffffffffffffff3fffbf71f");
}

TEST_F(PluginArguments, TellWhatTheDleAsksFor) {
  dle_.exclude.files = {"*.o", "x"};
  dle_.exclude.lists = {".list"};
  dle_.exclude.optional = true;
  dle_.include.files = {"./a"};
  dle_.record = false;
  dle_.index = false;
  wire::Property property;
  property.name = "GNUTAR_Path";
  property.values = {"/a", "/b"};
  properties_ = {property};
  support_ = Support::parse(
      "MAX-LEVEL 9\nEXCLUDE-FILE YES\nEXCLUDE-LIST YES\nEXCLUDE-OPTIONAL YES\n"
      "INCLUDE-FILE YES\nHOST NO\n");
  EXPECT_EQ(
      command(PluginCommand::backup, {0}),
      "amgtar backup --config lab --disk /home/a b --device /home/a b --level 0 --include-file ./a "
      "--exclude-file *.o --exclude-file x --exclude-list .list --exclude-optional yes --gnutar-path /a "
      "--gnutar-path /b");
}

TEST_F(PluginArguments, RefuseWhatTheApplicationCannotDo) {
  support_ = Support::parse("MAX-LEVEL 1\n");
  EXPECT_EQ(command(PluginCommand::backup, {2}), "the application can dump only up to level 1");
  dle_.exclude.files = {"x"};
  EXPECT_EQ(command(PluginCommand::backup, {0}), "the application doesn't support exclude-file");
}

TEST(PluginPath, IsAFileOfTheApplicationDirectory) {
  Machine machine("plugin_path");
  machine.put("apps/amgtar", "");
  machine.put("apps/other", "");
  for (const char* name : {"amgtar", "other"})
    fs::permissions(machine.at("apps") / name, fs::perms::owner_all);
  wire::Dle dle;
  for (const char* bad : {"", "../runtar", "a/b", ".hidden"}) {
    dle.application.plugin = bad;
    EXPECT_FALSE(plugin_path(machine.paths, dle, false).has_value()) << bad;
  }
  dle.application.plugin = "other";
  EXPECT_EQ(plugin_path(machine.paths, dle, true).value(), machine.at("apps/other"));
  dle.application.plugin = "amgtar";
  EXPECT_EQ(plugin_path(machine.paths, dle, true).value(), std::nullopt);
  EXPECT_EQ(plugin_path(machine.paths, dle, false).value(), machine.at("apps/amgtar"));
  fs::remove(machine.at("apps/amgtar"));
  EXPECT_EQ(plugin_path(machine.paths, dle, false).value(), std::nullopt);
}

TEST(PluginEstimates, ReadsEitherForm) {
  const auto out = parse_plugin_estimates(
      "0 210 1\n1 3 1024\n2 -2 -2\n3 -1 -1\n4 0 1\nERROR no such thing\nrubbish\n5 9223372036854775807 2\n",
      9);
  EXPECT_EQ(out.kib, (std::map<int, int64_t>{{0, 210}, {1, 3072}, {2, -2}, {3, -1}, {4, -1}, {5, -1}}));
  EXPECT_EQ(out.errors, (std::vector<std::string>{"no such thing"}));
  EXPECT_EQ(parse_plugin_estimates("7 10\n", 2).kib, (std::map<int, int64_t>{{2, 70}}));
}

// An application of a few lines, which notes how it was called.
class Application : public ::testing::Test {
 protected:
  void SetUp() override {
    install(
        "case $1 in\nsupport) printf 'MAX-LEVEL 9\\nINDEX-LINE YES\\nMESSAGE-LINE YES\\nSTATE-STREAM YES\\n"
        "RECORD YES\\nMULTI-ESTIMATE YES\\n' ;;\n"
        "backup) echo image; echo '| hello' >&3; echo 'sendbackup: size 1' >&3; echo /a >&4; echo '0 /a' >&5 "
        ";;\n"
        "estimate) echo '0 50 2'; echo '1 -2 -2' ;;\n"
        "selfcheck) echo 'OK all fine'; echo 'ERROR [not so fine]' ;;\nesac\n");
  }
  void install(const std::string& script) {
    machine_.put("apps/toy", "#!/bin/sh\n" + script);
    fs::permissions(machine_.at("apps/toy"), fs::perms::owner_all);
  }
  DleText dle(const std::string& properties = {}) const {
    DleText out{.disk = machine_.src()};
    out.program = "APPLICATION";
    out.extra = "<backup-program><plugin>toy</plugin>" + properties + "</backup-program>\n";
    return out;
  }

  Machine machine_{"application"};
};

TEST_F(Application, Dumps) {
  const Answer answer = machine_.ask("sendbackup", kOptions + dle().text());
  EXPECT_EQ(answer.streams.at("DATA"), "image\n");
  EXPECT_EQ(answer.streams.at("INDEX"), "/a\n");
  EXPECT_EQ(answer.streams.at("STATE"), "0 /a\n");
  const std::string& mesg = answer.streams.at("MESG");
  EXPECT_EQ(
      mesg.find("sendbackup: info BACKUP=APPLICATION\nsendbackup: info APPLICATION=toy\nsendbackup: info "
                "RECOVER_CMD=" +
                machine_.at("apps/toy").native() + " restore [./file-to-restore]+\nsendbackup: info end\n"),
      0U);
  EXPECT_NE(mesg.find("| hello\n"), std::string::npos);
  EXPECT_NE(mesg.find("sendbackup: size 1\n"), std::string::npos);
  EXPECT_NE(mesg.find("sendbackup: native-CRC "), std::string::npos);
  EXPECT_TRUE(mesg.ends_with("sendbackup: end\n"));
  EXPECT_EQ(machine_.get("amandates").find(machine_.src().native() + " 0 "), 0U);
}

TEST_F(Application, WhatItSaysOnItsErrorOutputFailsTheDump) {
  install("case $1 in\nsupport) echo 'MAX-LEVEL 9' ;;\nbackup) echo image; echo no luck >&2 ;;\nesac\n");
  const std::string mesg = machine_.ask("sendbackup", kOptions + dle().text()).streams["MESG"];
  EXPECT_TRUE(mesg.ends_with("sendbackup: info end\nsendbackup: error [no luck]\n")) << mesg;
  EXPECT_EQ(machine_.get("amandates"), "(none)");
}

TEST_F(Application, ItsExitStatusCounts) {
  for (const auto& [code, good] : {std::pair{1, true}, std::pair{2, false}}) {
    install("case $1 in\nsupport) echo 'MAX-LEVEL 9' ;;\nbackup) echo image; exit " + std::to_string(code) +
            " ;;\nesac\n");
    const std::string mesg = machine_.ask("sendbackup", kOptions + dle().text()).streams["MESG"];
    EXPECT_EQ(mesg.ends_with("sendbackup: end\n"), good) << mesg;
    EXPECT_EQ(mesg.find(" toy returned 2]\n") != std::string::npos, !good) << mesg;
  }
}

TEST_F(Application, EstimatesAndChecks) {
  DleText both = dle();
  both.levels = "<level>0</level><level>1</level><level>2</level>";
  auto reply = wire::parse_sendsize_reply(machine_.ask("sendsize", kOptions + both.text()).reply);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->find(both.disk, 0)->kib, 100);
  EXPECT_EQ(reply->find(both.disk, 1)->kib, wire::kImpossibleLevel);
  EXPECT_EQ(reply->find(both.disk, 2)->errors,
            std::vector<std::string>{"Application 'toy': it gave no size"});
  auto check = wire::parse_selfcheck_reply(machine_.ask("selfcheck", kOptions + dle().text()).reply);
  ASSERT_TRUE(check.has_value());
  std::vector<std::string> problems;
  for (const auto& message : check->messages) {
    if (message.is_problem()) problems.push_back(message.message);
  }
  EXPECT_EQ(problems, std::vector<std::string>{"not so fine"});
}

TEST_F(Application, AMissingOneIsNamedByEveryService) {
  fs::remove(machine_.at("apps/toy"));
  const std::string path = machine_.at("apps/toy");
  const std::string refused = machine_.ask("sendbackup", kOptions + dle().text()).reply;
  EXPECT_EQ(refused.find("ERROR [Application 'toy': "), 0U) << refused;
  EXPECT_NE(refused.find(path), std::string::npos);
  const std::string estimate = machine_.ask("sendsize", kOptions + dle().text()).reply;
  EXPECT_NE(estimate.find("0 ERROR \"Application 'toy': "), std::string::npos) << estimate;
  const std::string check = machine_.ask("selfcheck", kOptions + dle().text()).reply;
  EXPECT_NE(check.find("Application 'toy': "), std::string::npos) << check;
}

TEST_F(Application, OneThatTalksWithoutEndIsEnded) {
  install("exec yes\n");
  const std::string refused = machine_.ask("sendbackup", kOptions + dle().text()).reply;
  EXPECT_EQ(refused, "ERROR [Application 'toy': it talks without end]\n");
}

}  // namespace
}  // namespace headrace::client
