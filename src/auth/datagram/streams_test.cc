// The streams of bsd and bsdudp over real sockets: ports, who may connect, order, waiting for free ports, and
// both auths from the first packet to the last byte.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

#include "auth/bsd/bsd.h"
#include "auth/bsdudp/bsdudp.h"
#include "auth/connect.h"
#include "auth/datagram/hub.h"
#include "auth/datagram/stream_ports.h"
#include "loop/test_loop.h"

namespace headrace::auth {
namespace {

using base::ErrorKind;
using base::Result;
using loop::IoState;

loop::Address loopback(uint16_t port = 0) { return loop::Address::ipv4(INADDR_LOOPBACK, port); }

class StreamsTest : public ::testing::TestWithParam<std::string> {
 protected:
  // Eight ports of this process's own, below those that the kernel gives out.
  static loop::PortRange range(int first = 10240) {
    const auto low = static_cast<uint16_t>(first + getpid() % 500 * 8);
    return {low, static_cast<uint16_t>(low + 7)};
  }
  void until(const std::function<bool()>& condition) {
    while (!condition()) {
      loop_->post([this] { loop_->stop(); });
      loop_->run();
    }
  }
  StreamPorts::Doors doors(size_t count, const loop::Address& peer = loopback()) {
    std::optional<Result<StreamPorts::Doors>> got;
    const auto operation = ports_->open(count, peer, [&](auto opened) { got = std::move(opened); });
    until([&] { return got.has_value(); });
    EXPECT_TRUE(*got) << got->error().what();
    return std::move(**got);
  }
  base::Fd connect(uint16_t port, const char* from = "127.0.0.1") {
    base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto local = *loop::Address::parse(from, 0);
    const auto to = loopback(port);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&local.storage), local.length), 0);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.length), 0);
    return socket;
  }

  std::unique_ptr<loop::Loop> loop_ = loop::make_loop(1);
  std::unique_ptr<loop::Timer> deadline_ = loop_->after(std::chrono::seconds(20), [] { std::abort(); });
  std::shared_ptr<StreamPorts> ports_ = std::make_shared<StreamPorts>(*loop_, range());
};

TEST_F(StreamsTest, ADoorTakesItsOneConnectionAndClosesBehindIt) {
  auto door = std::move(doors(1).front());
  EXPECT_TRUE(range().contains(door->port()));
  bool noticed = false;
  door->on_connection([&] { noticed = true; });
  const base::Fd ours = connect(door->port());
  until([&] { return noticed; });
  const auto too_late = loopback(door->port());
  const base::Fd second(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_NE(::connect(second.get(), reinterpret_cast<const sockaddr*>(&too_late.storage), too_late.length),
            0);
  std::optional<Result<base::Fd>> connection;
  door->await([&](Result<base::Fd> fd) { connection = std::move(fd); });
  EXPECT_FALSE(connection) << "never from inside";
  until([&] { return connection.has_value(); });
  EXPECT_TRUE(*connection);
}

TEST_F(StreamsTest, AStrangersConnectionIsClosedAndTheRightOneAwaited) {
  auto door = std::move(doors(1).front());
  std::optional<Result<base::Fd>> connection;
  door->await([&](Result<base::Fd> fd) { connection = std::move(fd); });
  const base::Fd stranger = connect(door->port(), "127.0.0.9");
  until([&] { return ports_->strangers() == 1; });
  char byte = 0;
  EXPECT_EQ(::read(stranger.get(), &byte, 1), 0);
  EXPECT_FALSE(connection);
  const base::Fd ours = connect(door->port());
  until([&] { return connection.has_value(); });
  EXPECT_TRUE(*connection);
}

TEST_F(StreamsTest, MoreStreamsThanPortsTakeTurns) {
  // Eight ports serve ten offers of four, since each port is free again once its connection is there.
  std::vector<StreamPorts::Doors> given;
  std::vector<std::unique_ptr<loop::Operation>> operations;
  for (int i = 0; i < 10; ++i) {
    operations.push_back(ports_->open(4, loopback(), [&](Result<StreamPorts::Doors> opened) {
      ASSERT_TRUE(opened) << opened.error().what();
      given.push_back(std::move(*opened));
    }));
  }
  until([&] { return given.size() == 2; });
  std::vector<base::Fd> held;
  for (size_t i = 0; i < 10; ++i) {
    until([&] { return given.size() > i; });
    EXPECT_LE(given.size(), i + 2) << "there are no more ports than eight";
    for (auto& door : given[i]) {
      bool noticed = false;
      door->on_connection([&] { noticed = true; });
      held.push_back(connect(door->port()));
      until([&] { return noticed; });
    }
  }
  EXPECT_EQ(held.size(), 40U);
}

TEST_F(StreamsTest, WhoGivesUpWaitingHoldsNobodyUp) {
  const auto all = doors(8);
  bool called = false;
  auto given_up = ports_->open(8, loopback(), [&](const auto&) { called = true; });
  given_up.reset();
  loop::turn_loop(*loop_, 20, [this] { loop_->stop(); });
  loop_->run();
  EXPECT_FALSE(called);
}

// A client and a server in one process; the server's UDP ports are not reserved here.
TEST_P(StreamsTest, BothEndsSpeakFromTheFirstPacketToTheLastByte) {
  auto socket = loop::bind_datagram(*loop_, loopback());
  ASSERT_TRUE(socket);
  auto carrier = GetParam() == "bsd" ? accept_by_bsd(*loop_, ports_) : accept_by_bsdudp(*loop_, ports_);
  auto client = DatagramHub::responder(*loop_, std::move(*socket), std::move(carrier));
  std::unique_ptr<Conversation> theirs;
  std::string asked;
  client->serve(
      [&](std::unique_ptr<Conversation> conversation) {
        theirs = std::move(conversation);
        theirs->on_packet([&](Result<wire::Packet> packet) { asked += packet->body; });
      },
      nullptr);

  NetConnector connector(*loop_);
  std::unique_ptr<Path> path;
  Peer peer{.host = "127.0.0.1", .auth = GetParam(), .port = client->local().port()};
  peer.udp_ports = range();
  peer.stream_ports = range(14500);
  const auto connecting = connector.connect(peer, [&](Result<std::unique_ptr<Path>> reached) {
    ASSERT_TRUE(reached) << reached.error().what();
    path = std::move(*reached);
  });
  until([&] { return path != nullptr; });
  EXPECT_TRUE(path->names_user());
  auto ours = path->begin();
  ASSERT_TRUE(ours->send({wire::PacketType::req, "body"}));
  until([&] { return asked == "body"; });
  EXPECT_TRUE(peer.udp_ports.contains(theirs->peer()->port()));

  std::vector<uint32_t> numbers;
  theirs->offer_streams(4, [&](Result<std::vector<uint32_t>> offered) {
    ASSERT_TRUE(offered) << offered.error().what();
    numbers = *offered;
  });
  until([&] { return numbers.size() == 4; });
  EXPECT_TRUE(range().contains(static_cast<uint16_t>(numbers[0])));
  if (GetParam() == "bsdudp") {
    EXPECT_EQ(std::vector(numbers.begin() + 1, numbers.end()),
              (std::vector<uint32_t>{499999, 499998, 499997}));
  }
  ASSERT_TRUE(theirs->send({wire::PacketType::rep, "CONNECT"}));
  std::string replied;
  ours->on_packet([&](Result<wire::Packet> packet) { replied = packet->body; });
  until([&] { return replied == "CONNECT"; });

  std::vector<std::unique_ptr<loop::Duplex>> near(4), far(4);
  for (const size_t i : {0U, 1U, 2U, 3U}) {
    ours->open_stream(numbers[i], [&, i](auto stream) {
      ASSERT_TRUE(stream) << stream.error().what();
      near[i] = std::move(*stream);
    });
    until([&] { return near[i] != nullptr; });
  }
  // The connections are the ACK that was never sent.
  until([&] { return asked == "body"; });
  for (const size_t i : {3U, 1U, 0U, 2U}) {
    theirs->accept_stream(numbers[i], [&, i](auto stream) {
      ASSERT_TRUE(stream) << stream.error().what();
      far[i] = std::move(*stream);
    });
  }
  until([&] { return far[0] && far[1] && far[2] && far[3]; });
  theirs.reset();
  ours.reset();
  for (size_t i = 0; i < 4; ++i) {
    const std::string text = fmt::format("stream {}", i);
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    ASSERT_EQ(far[i]->write({&piece, 1}).bytes, text.size());
    bool finished = false;
    far[i]->finish([&](Result<> outcome) { finished = outcome.has_value(); });
    until([&] { return finished; });
    far[i].reset();
    std::string got;
    std::array<std::byte, 100> buffer{};
    until([&] {
      const auto result = near[i]->read(buffer);
      if (result.state == IoState::moved) got += base::as_text(base::Bytes(buffer).first(result.bytes));
      return result.state == IoState::end;
    });
    EXPECT_EQ(got, text);
  }
}

TEST_P(StreamsTest, ANumberThatIsNoPortIsAnError) {
  auto make = GetParam() == "bsd" ? connect_streams_by_bsd(*loop_, range())
                                  : connect_streams_by_bsdudp(*loop_, range());
  const auto carrier = make(loopback(), nullptr);
  for (const uint32_t number : {0U, 65536U, 4000000000U}) {
    std::optional<ErrorKind> kind;
    carrier->open(number, [&](auto stream) { kind = stream.error().kind(); });
    EXPECT_EQ(kind, ErrorKind::corrupt);
  }
}

TEST_P(StreamsTest, AStreamNobodyOffersIsGone) {
  auto make =
      GetParam() == "bsd" ? connect_streams_by_bsd(*loop_, {}) : connect_streams_by_bsdudp(*loop_, {});
  const auto carrier = make(loopback(), nullptr);
  std::optional<ErrorKind> kind;
  carrier->open(range().low, [&](auto stream) { kind = stream.error().kind(); });
  until([&] { return kind.has_value(); });
  EXPECT_EQ(kind, ErrorKind::gone);
}

TEST_P(StreamsTest, WithoutAFreeSourcePortTheKernelChooses) {
  const auto all = doors(8);
  auto far = loop::listen_tcp(*loop_, loopback(), [](base::Fd, const loop::Address&) {});
  ASSERT_TRUE(far);
  auto make = GetParam() == "bsd" ? connect_streams_by_bsd(*loop_, range())
                                  : connect_streams_by_bsdudp(*loop_, range());
  const auto carrier = make(loopback(), nullptr);
  std::unique_ptr<loop::Duplex> stream;
  carrier->open((*far)->local().port(), [&](auto opened) {
    ASSERT_TRUE(opened) << opened.error().what();
    stream = std::move(*opened);
  });
  until([&] { return stream != nullptr; });
}

INSTANTIATE_TEST_SUITE_P(Auths, StreamsTest, ::testing::Values("bsd", "bsdudp"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace headrace::auth
