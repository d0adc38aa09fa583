#include "loop/fd_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include "loop/net.h"
#include "loop/stream_contract.h"

namespace headrace::loop {
namespace {

class FdPair : public StreamPair {
 public:
  FdPair(std::unique_ptr<Loop> loop, base::Fd from, base::Fd to, FdKind kind) : loop_(std::move(loop)) {
    auto reader = make_fd_stream(*loop_, std::move(from), kind);
    auto writer = make_fd_stream(*loop_, std::move(to), kind);
    EXPECT_TRUE(reader && writer);
    reader_ = std::move(*reader);
    writer_ = std::move(*writer);
  }
  Loop& loop() override { return *loop_; }
  Writable& writer() override { return *writer_; }
  Readable& reader() override { return *reader_; }
  void drop_writer() override { writer_.reset(); }
  void drop_reader() override { reader_.reset(); }

 private:
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Duplex> reader_;
  std::unique_ptr<Duplex> writer_;
};

std::unique_ptr<StreamPair> make_pipe_pair() {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return std::make_unique<FdPair>(make_loop(1), base::Fd(ends[0]), base::Fd(ends[1]), FdKind::pipe);
}

std::unique_ptr<StreamPair> make_socket_pair() {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return std::make_unique<FdPair>(make_loop(1), base::Fd(ends[0]), base::Fd(ends[1]), FdKind::socket);
}

std::unique_ptr<StreamPair> make_tcp_pair() {
  auto loop = make_loop(1);
  base::Fd from;
  base::Fd to;
  const auto stop_when_both = [&] {
    if (from && to) loop->stop();
  };
  auto listener = listen_tcp(*loop, Address::ipv4(INADDR_LOOPBACK, 0), [&](base::Fd fd, const Address&) {
    from = std::move(fd);
    stop_when_both();
  });
  EXPECT_TRUE(listener);
  const auto connecting = connect_tcp(*loop, {(*listener)->local()}, {}, [&](base::Result<base::Fd> fd) {
    EXPECT_TRUE(fd);
    to = std::move(*fd);
    stop_when_both();
  });
  loop->run();
  listener->reset();
  return std::make_unique<FdPair>(std::move(loop), std::move(from), std::move(to), FdKind::socket);
}

INSTANTIATE_TEST_SUITE_P(Fd, StreamContract,
                         ::testing::Values(StreamCase{"pipe", make_pipe_pair},
                                           StreamCase{"socket", make_socket_pair},
                                           StreamCase{"tcp", make_tcp_pair}),
                         name_of_case);

TEST(FdStream, ASocketGoesOnReadingAfterItFinishedWriting) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const auto loop = make_loop(1);
  const auto deadline = end_test_after_deadline(*loop);
  auto near = make_fd_stream(*loop, base::Fd(ends[0]), FdKind::socket);
  auto far = make_fd_stream(*loop, base::Fd(ends[1]), FdKind::socket);
  ASSERT_TRUE(near && far);
  (*near)->finish([&](base::Result<> outcome) {
    EXPECT_TRUE(outcome);
    loop->stop();
  });
  loop->run();
  std::byte buffer[8];
  EXPECT_EQ((*far)->read(buffer).state, IoState::end);
  char text[] = "reply";
  const iovec piece{text, 5};
  EXPECT_EQ((*far)->write(std::span(&piece, 1)).bytes, 5U);
  EXPECT_EQ((*near)->read(buffer).bytes, 5U);
}

TEST(FdStream, AResetConnectionIsGone) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const auto loop = make_loop(1);
  auto near = make_fd_stream(*loop, base::Fd(ends[0]), FdKind::socket, "client alpha");
  ASSERT_TRUE(near);
  // A local socket closed with unread bytes resets its peer.
  char text[] = "unread";
  const iovec piece{text, 6};
  ASSERT_EQ((*near)->write(std::span(&piece, 1)).bytes, 6U);
  close(ends[1]);
  std::byte buffer[8];
  EXPECT_EQ((*near)->read(buffer).state, IoState::failed);
  EXPECT_EQ((*near)->error().kind(), base::ErrorKind::gone);
  EXPECT_EQ((*near)->error().what(), "read from client alpha: Connection reset by peer");
  EXPECT_EQ((*near)->read(buffer).state, IoState::failed);
}

TEST(FdStream, ClosingBothDirectionsClosesTheDescriptor) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const base::Fd far(ends[1]);
  const auto loop = make_loop(1);
  auto near = make_fd_stream(*loop, base::Fd(ends[0]), FdKind::socket);
  ASSERT_TRUE(near);
  (*near)->close_read();
  EXPECT_EQ((*near)->splice_fd(), ends[0]);
  (*near)->abandon();
  EXPECT_EQ((*near)->splice_fd(), -1);
  char byte = 0;
  EXPECT_EQ(read(far.get(), &byte, 1), 0);
}

// Else it waits for more while we read on.
TEST(FdStream, ThePeerSeesTheEndOfWhatIsAbandoned) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const base::Fd far(ends[1]);
  const auto loop = make_loop(1);
  auto near = make_fd_stream(*loop, base::Fd(ends[0]), FdKind::socket);
  ASSERT_TRUE(near);
  (*near)->abandon();
  char byte = 'x';
  EXPECT_EQ(recv(far.get(), &byte, 1, MSG_DONTWAIT), 0);
  ASSERT_EQ(write(far.get(), &byte, 1), 1);
  std::byte buffer[8];
  EXPECT_EQ((*near)->read(buffer).bytes, 1U) << "the other direction goes on";
}

TEST(FdStream, AFileIsRefused) {
  const auto loop = make_loop(1);
  EXPECT_FALSE(make_fd_stream(*loop, base::Fd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), FdKind::pipe));
}

}  // namespace
}  // namespace headrace::loop
