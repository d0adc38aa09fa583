#include <gtest/gtest.h>

#include <algorithm>

#include "client/check/checks.h"
#include "client/test_bench.h"
#include "wire/selfcheck.h"

namespace headrace::client {
namespace {

using testing::amgtar;
using testing::Answer;
using testing::DleText;
using testing::kOptions;
using testing::Machine;
namespace fs = std::filesystem;

class Selfcheck : public ::testing::Test {
 protected:
  wire::SelfcheckReply check(const DleText& dle) {
    answer_ = machine_.ask("selfcheck", kOptions + dle.text());
    auto reply = wire::parse_selfcheck_reply(answer_.reply);
    EXPECT_TRUE(reply.has_value()) << answer_.reply;
    return reply.value_or(wire::SelfcheckReply{});
  }
  DleText dle() const {
    DleText out{.disk = machine_.src()};
    out.levels.clear();
    return out;
  }
  // What an operator sees; the missing runtar depends on who runs the test.
  static std::vector<std::string> problems(const wire::SelfcheckReply& reply) {
    std::vector<std::string> out;
    for (const auto& message : reply.messages) {
      if (message.is_problem() && message.message.find("no-runtar") == std::string::npos) {
        out.push_back(message.message);
      }
    }
    return out;
  }

  Machine machine_{"selfcheck"};
  Answer answer_;
};

TEST_F(Selfcheck, AllIsWell) {
  const auto reply = check(dle());
  EXPECT_TRUE(answer_.reply.starts_with("MESSAGE JSON\n"));
  EXPECT_EQ(problems(reply), std::vector<std::string>());
  const auto disk = std::ranges::find(reply.messages, 3600052, &wire::CheckMessage::code);
  ASSERT_NE(disk, reply.messages.end());
  EXPECT_EQ(disk->message, machine_.src().native());
  EXPECT_EQ(disk->field("hostname"), "client.lab");
}

TEST_F(Selfcheck, OlderServersGetLines) {
  auto features = wire::FeatureSet::amanda_351();
  features.remove(wire::Feature::selfcheck_message);
  const Answer answer = machine_.ask(
      "selfcheck", "OPTIONS features=" + features.hex() + ";hostname=client.lab;\n" + dle().text());
  EXPECT_NE(answer.reply.find("OK " + machine_.src().native() + "\n"), std::string::npos);
  EXPECT_NE(answer.reply.find("OPTIONS features="), std::string::npos);
  EXPECT_NE(answer.reply.find("OK /bin/tar executable ("), std::string::npos);
}

TEST_F(Selfcheck, SaysWhatKeepsADiskFromBeingDumped) {
  struct {
    DleText dle;
    std::string problem;
  } cases[] = {
      {{.disk = machine_.at("nosuch")},
       "client.lab: Could not access " + machine_.at("nosuch").native() + " (" +
           machine_.at("nosuch").native() + "): No such file or directory"},
      {{.disk = machine_.at("etc/amanda-client.conf")},
       "client.lab: Could not access " + machine_.at("etc/amanda-client.conf").native() + " (" +
           machine_.at("etc/amanda-client.conf").native() + "): Not a directory"},
      {{.disk = machine_.src(), .program = "DUMP"},
       machine_.src().native() + ": program DUMP is not supported by this client"},
      {{.disk = machine_.src(),
        .extra = amgtar(testing::property("sparse", {"maybe"})),
        .program = "APPLICATION"},
       machine_.src().native() + ": bad SPARSE property value 'maybe'"},
      {{.disk = machine_.src(), .extra = "<exclude><list>.nosuch</list></exclude>"},
       "exclude list '" + machine_.at("src/.nosuch").native() + "' cannot be used: open " +
           machine_.at("src/.nosuch").native() + ": No such file or directory"},
  };
  for (auto& c : cases) {
    c.dle.levels.clear();
    EXPECT_EQ(problems(check(c.dle)), std::vector<std::string>{c.problem});
  }
}

TEST_F(Selfcheck, SaysThatTheAuthIsWrong) {
  DleText other = dle();
  other.auth = "bsd";
  EXPECT_EQ(
      problems(check(other)),
      (std::vector<std::string>{"client configured for auth=bsdtcp while server requested 'bsd'",
                                "The auth in the inetd/xinetd configuration must be the same as the DLE"}));
}

TEST_F(Selfcheck, SaysWhichProgramsAndPlacesAreMissing) {
  fs::remove_all(machine_.at("lists"));
  machine_.paths.gnutar = machine_.at("nosuch-tar");
  machine_.paths.gzip = machine_.at("nosuch-gzip");
  DleText zipped = dle();
  zipped.extra = "<compress>FAST</compress>";
  const auto found = problems(check(zipped));
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].find("can not execute '" + machine_.at("nosuch-tar").native() + "': No such file"), 0U);
  EXPECT_EQ(found[1].find("can not read/write '" + machine_.at("lists/.").native() + "': No such file"), 0U);
  EXPECT_EQ(found[2].find("can not execute '" + machine_.at("nosuch-gzip").native() + "'"), 0U);
  EXPECT_EQ(found[3].find("cannot get filesystem usage for '" + machine_.at("lists").native() + "'"), 0U);
}

TEST_F(Selfcheck, AnswersARequestThatCannotBeRead) {
  const Answer answer = machine_.ask("selfcheck", kOptions + "<dle><bogus/></dle>");
  auto reply = wire::parse_selfcheck_reply(answer.reply);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(problems(*reply),
            std::vector<std::string>{"FORMAT ERROR IN REQUEST PACKET 'XML: Invalid bogus element'"});
}

TEST(Noop, TellsTheFeatures) {
  Machine machine("noop");
  EXPECT_EQ(machine.ask("noop", "OPTIONS features=ff;\n").reply,
            "OPTIONS features=" + wire::FeatureSet::ours_as_client().hex() + ";\n");
}

TEST(Services, RefuseWhatIsNotEnabled) {
  Machine machine("services");
  EXPECT_EQ(machine.ask("amindexd", "OPTIONS ;\n").refusal,
            "amindexd: invalid service, add 'amindexd' as argument to amandad");
  auto loop = loop::make_loop(1);
  ClientContext context{*loop, machine.paths, "here.lab"};
  exchange::ServiceFactory noop_only = make_factory(context, {"noop"});
  testing::Requester sendsize(*loop, {"sendsize", "OPTIONS ;\n", "bsdtcp", ""});
  EXPECT_EQ(sendsize.run(noop_only).refusal,
            "sendsize: invalid service, add 'sendsize' as argument to amandad");
}

}  // namespace
}  // namespace headrace::client
