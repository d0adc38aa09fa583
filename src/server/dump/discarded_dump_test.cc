// A dump that its client throws away, against a scripted client over loopback TCP.
#include "server/dump/discarded_dump.h"

#include <gtest/gtest.h>

#include "loop/test_loop.h"
#include "server/dump/fake_client.h"

namespace headrace::dump {
namespace {

class DiscardedDumpTest : public ::testing::Test {
 protected:
  DiscardedDumpTest() {
    request.peer = {.host = "127.0.0.1",
                    .auth = "bsdtcp",
                    .port = client.port(),
                    .source_port_low = 0,
                    .source_port_high = 0,
                    .tries = 1,
                    .amandad_path = ""};
    request.host = "h";
    request.dump_user = "backup";
    request.dle.program = "GNUTAR";
    request.dle.disk = "/d";
    request.dle.levels = {{0, false, {}}};
    request.dle.record = false;
    request.dle.discard = "source";
    request.client_features = wire::FeatureSet::ours_as_client();
  }
  // Meters as they were at the end.
  base::Result<> run(const FakeScript& script) {
    client.scripts["/d"] = {script};
    base::Result<> out = base::fail(base::ErrorKind::gone, "it did not end");
    const auto deadline = loop::end_test_after_deadline(*loop);
    DiscardedDump dump(*loop, connector, request);
    dump.set_open(false);
    dump.start([&](base::Result<> outcome) {
      out = std::move(outcome);
      meters = dump.meters();
      loop->stop();
    });
    dump.set_open(true);
    loop->run();
    return out;
  }
  static FakeScript quiet() {
    FakeScript script;
    script.wants_index = false;
    return script;
  }

  std::unique_ptr<loop::Loop> loop = loop::make_loop(2);
  FakeClient client{*loop};
  auth::NetConnector connector{*loop};
  DumpRequest request;
  std::optional<wire::MeterLine> meters;
};

TEST_F(DiscardedDumpTest, IsKnownByItsMeters) {
  FakeScript script = quiet();
  script.describe().mesg("sendbackup: meter 1 at=200 joint=network_send:1000,1,2,3,4,5,0,0,0,0,0,0,0,0\n");
  script.mesg("sendbackup: meter 9 from the future\n| all is well\n");
  script.mesg("sendbackup: meter 1 at=400 joint=network_send:5000,1,2,3,4,5,0,0,0,0,0,0,0,0\n");
  script.end(kToData).close_with("").end(kToMesg);
  const auto outcome = run(script);
  EXPECT_TRUE(outcome) << outcome.error().what();
  ASSERT_TRUE(meters);
  EXPECT_EQ(meters->at_ms, 400U);
  EXPECT_EQ(meters->joints.at(0).bytes, 5000U);
}

TEST_F(DiscardedDumpTest, AClientThatSendsDataDoesNotKnowHow) {
  FakeScript script = quiet();
  script.describe().data("all the same");
  const auto outcome = run(script);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), base::ErrorKind::refused);
  EXPECT_NE(outcome.error().what().find("does not know how"), std::string::npos) << outcome.error().what();
}

TEST_F(DiscardedDumpTest, SaysWhyItEnded) {
  FakeScript refused;
  refused.reply = "ERROR [a dump that is thrown away must not be recorded]\n";
  FakeScript failed = quiet();
  failed.describe().mesg("sendbackup: error [tar died]\n").end(kToData).end(kToMesg);
  FakeScript cut = quiet();
  cut.describe().hang_up();
  struct Case {
    const FakeScript& script;
    const char* says;
  };
  for (const auto& [script, says] :
       {Case{refused, "must not be recorded"}, Case{failed, "tar died"}, Case{cut, ""}}) {
    const auto outcome = run(script);
    ASSERT_FALSE(outcome);
    EXPECT_NE(outcome.error().what().find(says), std::string::npos) << outcome.error().what();
  }
}

TEST_F(DiscardedDumpTest, MayBeGivenUpAtAnyTime) {
  FakeScript script = quiet();
  script.describe().mesg("sendbackup: meter 1 at=200\n");
  client.scripts["/d"] = {script};
  const auto deadline = loop::end_test_after_deadline(*loop);
  auto dump = std::make_unique<DiscardedDump>(*loop, connector, request);
  dump->start([](const base::Result<>&) { ADD_FAILURE() << "it was given up"; });
  std::unique_ptr<loop::Timer> look;
  std::function<void()> wait = [&] {
    if (!dump->meters()) {
      look = loop->after(std::chrono::milliseconds(5), [&] { wait(); });
      return;
    }
    dump.reset();
    loop::turn_loop(*loop, 20, [&] { loop->stop(); });
  };
  wait();
  loop->run();
}

}  // namespace
}  // namespace headrace::dump
