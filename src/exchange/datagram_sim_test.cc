// Requests by datagrams on virtual time, each end against the other: lost, doubled, late, reordered.
#include <gtest/gtest.h>

#include "exchange/datagram_test_support.h"
#include "sim/sim_datagram.h"
#include "sim/sim_stream.h"

namespace headrace::exchange {
namespace {

using sim::SimDatagramNet;
using sim::SimLoop;

class LossyTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(LossyTest, EveryDumpIsServedOnceOrBothEndsKnowThatItWasNot) {
  SimLoop loop;
  SimDatagramNet net(loop, {.latency = milliseconds(20),
                            .jitter = seconds(3),
                            .lose_one_in = 4,
                            .double_one_in = 3,
                            .seed = GetParam()});
  Meeting meeting([&loop] { return connection(loop); });
  Judge judge;
  std::map<std::string, int> started;
  std::vector<Told*> services;
  std::map<std::string, std::unique_ptr<loop::Timer>> work;
  size_t opened_by_client = 0;
  std::vector<Streams> held;
  Responder responder(loop, judge, [&](ServiceCall& call) -> Result<std::unique_ptr<Service>> {
    const std::string what = call.request().arguments;
    ++started[what];
    auto service = std::make_unique<Told>(call, services);
    work[what] = loop.after(seconds(2), [&call, &opened_by_client, &held] {
      call.reply_with_streams({{"DATA"}, {"MESG"}}, "OPTIONS ;\n", [&](Result<Streams> streams) {
        if (!streams) return call.finished();
        ++opened_by_client;
        held.push_back(std::move(*streams));
      });
    });
    return service;
  });
  auto client = auth::DatagramHub::responder(loop, net.bind(client_address()), meeting.carriers());
  responder.serve(client, {"bsd", std::nullopt});
  auto server = auth::DatagramHub::initiator(loop, net.bind(server_address()));
  auto carriers = std::make_shared<auth::MakeCarrier>(meeting.carriers());

  constexpr int kDumps = 40;
  std::deque<Requester> requesters;
  int good = 0;
  int failed = 0;
  std::vector<std::vector<std::unique_ptr<loop::Duplex>>> streams;
  for (int i = 0; i < kDumps; ++i) {
    auto& requester =
        requesters.emplace_back(loop, server->begin({client_address()}, carriers),
                                request("sendbackup", fmt::format("OPTIONS ;\n{}\n", i)), RequestTimes{});
    requester.start(nullptr, [&](Result<std::string> reply) {
      if (!reply) {
        ++failed;
        return;
      }
      unsigned data = 0;
      unsigned mesg = 0;
      ASSERT_EQ(std::sscanf(reply->c_str(), "CONNECT DATA %u MESG %u", &data, &mesg), 2) << *reply;
      requester.open_streams({data, mesg}, [&](auto opened) {
        ASSERT_TRUE(opened) << opened.error().what();
        ++good;
        streams.push_back(std::move(*opened));
      });
    });
  }
  loop.advance(seconds(300));
  EXPECT_EQ(good + failed, kDumps);
  EXPECT_EQ(static_cast<size_t>(good), opened_by_client);
  // Three sends of which a quarter is lost each way: few fail.
  EXPECT_LE(failed, 6);
  for (const auto& [what, times] : started) EXPECT_EQ(times, 1) << what;
}

INSTANTIATE_TEST_SUITE_P(Seeds, LossyTest, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace headrace::exchange
