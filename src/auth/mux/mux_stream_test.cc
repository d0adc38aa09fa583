// The stream contract on the streams of a framed connection.
#include <sys/socket.h>

#include "auth/mux/mux_test_ends.h"
#include "loop/fd_stream.h"
#include "loop/stream_contract.h"
#include "sim/sim_stream.h"

namespace headrace::loop {
namespace {

using auth::CopyingTransport;
using auth::MuxEnds;
using sim::SimLinkOptions;
using sim::SimLoop;

class MuxPair : public StreamPair {
 public:
  // `responder_writes`: data flows from the responder, as in a dump; else the other way.
  MuxPair(std::unique_ptr<Loop> loop, std::unique_ptr<Duplex> near, std::unique_ptr<Duplex> far,
          bool responder_writes)
      : loop_(std::move(loop)), ends_(*loop_, std::move(near), std::move(far)) {
    auto stream = ends_.open();
    writer_ = std::move(responder_writes ? stream.far : stream.near);
    reader_ = std::move(responder_writes ? stream.near : stream.far);
  }
  Loop& loop() override { return *loop_; }
  Writable& writer() override { return *writer_; }
  Readable& reader() override { return *reader_; }
  void drop_writer() override { writer_.reset(); }
  void drop_reader() override { reader_.reset(); }

 private:
  std::unique_ptr<Loop> loop_;
  MuxEnds ends_;
  std::unique_ptr<Duplex> writer_;
  std::unique_ptr<Duplex> reader_;
};

std::unique_ptr<StreamPair> over_sockets(bool responder_writes) {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  auto loop = make_loop(1);
  auto near = make_fd_stream(*loop, base::Fd(ends[0]), FdKind::socket);
  auto far = make_fd_stream(*loop, base::Fd(ends[1]), FdKind::socket);
  EXPECT_TRUE(near && far);
  return std::make_unique<MuxPair>(std::move(loop), std::move(*near), std::move(*far), responder_writes);
}

StreamCase simulated(std::string name, SimLinkOptions options) {
  return {std::move(name), [options]() -> std::unique_ptr<StreamPair> {
            auto loop = std::make_unique<SimLoop>();
            auto connection = make_sim_connection(*loop, options, options);
            return std::make_unique<MuxPair>(
                std::move(loop), std::make_unique<CopyingTransport>(std::move(connection.a)),
                std::make_unique<CopyingTransport>(std::move(connection.b)), true);
          }};
}

INSTANTIATE_TEST_SUITE_P(
    Mux, StreamContract,
    ::testing::Values(StreamCase{"fromresponder", [] { return over_sockets(true); }},
                      StreamCase{"frominitiator", [] { return over_sockets(false); }}, simulated("sim", {}),
                      simulated("delayed", {.latency = std::chrono::milliseconds(20)}),
                      simulated("tiny", {.capacity_bytes = 97}),
                      simulated("split", {.largest_move_bytes = 5000, .seed = 21}),
                      simulated("hesitant",
                                {.largest_move_bytes = 9000, .false_wait_one_in = 3, .seed = 22})),
    name_of_case);

}  // namespace
}  // namespace headrace::loop
