// A flow that runs allocates nothing, on either way: ten thousand blocks through the real loop, counted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <latch>
#include <optional>

#include "flow/crc_tap.h"
#include "flow/pump.h"
#include "loop/fd_stream.h"
#include "loop/test_allocations.h"
#include "loop/test_loop.h"
#include "loop/test_traffic.h"

namespace headrace::flow {
namespace {

using loop::FdKind;

constexpr size_t kBlocks = 10'000;
// By then rings, queues and the kernel's buffers have seen their fullest moment.
constexpr size_t kWarmBytes = 500 * loop::kTrafficBlock;

struct Way {
  const char* name;
  bool tapped;
  size_t flows;
};

class Allocations : public ::testing::TestWithParam<Way> {};

TEST_P(Allocations, ARunningFlowMakesNone) {
  const auto loop = loop::make_loop(1);
  const auto deadline = loop::end_test_after_deadline(*loop);
  struct Flow {
    std::unique_ptr<loop::Duplex> source;
    std::unique_ptr<loop::Duplex> sink;
    CrcTap tap;
    std::unique_ptr<Pump> pump;
    std::thread writer;
    std::thread reader;
  };
  const size_t count = GetParam().flows;
  std::vector<Flow> flows(count);
  std::atomic<size_t> warm{0};
  // None ends before the count begins.
  std::latch all_warm(static_cast<std::ptrdiff_t>(count));
  std::atomic<uint64_t> before{0};
  uint64_t after = 0;
  size_t ended = 0;
  for (Flow& flow : flows) {
    int in[2];
    int out[2];
    ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
    flow.source = std::move(*loop::make_fd_stream(*loop, base::Fd(in[0]), FdKind::pipe));
    flow.sink = std::move(*loop::make_fd_stream(*loop, base::Fd(out[0]), FdKind::socket));
    flow.pump = std::make_unique<Pump>(*loop, *flow.source, *flow.sink, PumpOptions{});
    if (GetParam().tapped) flow.pump->add_tap(flow.tap);
    flow.pump->start([&](const base::Result<>& outcome) {
      EXPECT_TRUE(outcome);
      if (ended == 0) after = loop::allocations_made;
      if (++ended == count) loop->stop();
    });
    flow.reader = loop::read_blocks(base::Fd(out[1]), kWarmBytes / count, [&] {
      if (++warm == count) before = loop::allocations_made.load();
      all_warm.count_down();
    });
    flow.writer = loop::write_blocks(base::Fd(in[1]), kBlocks / count, [&all_warm] { all_warm.wait(); });
  }
  loop->run();
  for (Flow& flow : flows) {
    EXPECT_EQ(flow.pump->spliced(), !GetParam().tapped);
    flow.source.reset();
    flow.sink.reset();
    flow.writer.join();
    flow.reader.join();
  }
  EXPECT_EQ(warm, count);
  // Ending a flow is not its running: a few for each that ends before the count is taken.
  EXPECT_LE(after - before, 4 * count);
}

INSTANTIATE_TEST_SUITE_P(Ways, Allocations,
                         ::testing::Values(Way{"spliced", false, 1}, Way{"copied", true, 1},
                                           Way{"spliced_twenty", false, 20}, Way{"copied_twenty", true, 20}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace headrace::flow
