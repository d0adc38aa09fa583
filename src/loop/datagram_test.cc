#include "loop/datagram.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "loop/test_loop.h"

namespace headrace::loop {
namespace {

Address loopback(uint16_t port = 0) { return Address::ipv4(INADDR_LOOPBACK, port); }

class DatagramTest : public ::testing::Test {
 protected:
  std::unique_ptr<DatagramSocket> open(const Address& local = loopback()) {
    auto socket = bind_datagram(*loop_, local);
    EXPECT_TRUE(socket) << socket.error().what();
    return std::move(*socket);
  }
  void listen(DatagramSocket& socket, size_t wanted) {
    socket.on_datagram([this, wanted](base::Bytes bytes, const Address& from, const Address& to) {
      texts_.emplace_back(base::as_text(bytes));
      from_.push_back(from);
      to_.push_back(to);
      if (texts_.size() == wanted) loop_->stop();
    });
  }

  std::unique_ptr<Loop> loop_ = make_loop(1);
  std::unique_ptr<Timer> deadline_ = end_test_after_deadline(*loop_);
  std::vector<std::string> texts_;
  std::vector<Address> from_, to_;
};

TEST_F(DatagramTest, GoesAndComesWithBothAddresses) {
  auto one = open();
  auto other = open();
  listen(*other, 3);
  for (const char* text : {"first", "", "third"}) ASSERT_TRUE(one->send(text, other->local()));
  loop_->run();
  EXPECT_EQ(texts_, (std::vector<std::string>{"first", "", "third"}));
  EXPECT_EQ(from_[0].text(), one->local().text());
  EXPECT_EQ(to_[0].text(), other->local().text());
}

TEST_F(DatagramTest, OneOfAnysAddressesIsToldAndAnswersComeFromIt) {
  auto any = open(Address::any_like(loopback()));
  auto asker = open();
  const uint16_t port = any->local().port();
  any->on_datagram([&](base::Bytes, const Address& from, const Address& to) {
    EXPECT_EQ(to.text(), "127.0.0.5:" + std::to_string(port));
    ASSERT_TRUE(any->send("answer", from, to));
  });
  listen(*asker, 1);
  ASSERT_TRUE(asker->send("question", *Address::parse("127.0.0.5", port)));
  loop_->run();
  EXPECT_EQ(from_[0].text(), "127.0.0.5:" + std::to_string(port));
}

TEST_F(DatagramTest, AnIPv6SocketSpeaksIPv4Too) {
  auto any = bind_datagram(*loop_, *Address::parse("::", 0));
  if (!any) GTEST_SKIP() << "no IPv6 here: " << any.error().what();
  const uint16_t port = (*any)->local().port();
  auto asker = open();
  (*any)->on_datagram([&](base::Bytes, const Address& from, const Address& to) {
    EXPECT_TRUE(from.is_ipv4());
    ASSERT_TRUE((*any)->send("answer", from, to));
  });
  listen(*asker, 1);
  ASSERT_TRUE(asker->send("question", loopback(port)));
  loop_->run();
  EXPECT_EQ(texts_, std::vector<std::string>{"answer"});
}

TEST_F(DatagramTest, OneThatIsTooLargeIsAnErrorAndTheNextOneGoes) {
  auto one = open();
  auto other = open();
  listen(*other, 1);
  const auto sent = one->send(std::string(70000, 'x'), other->local());
  ASSERT_FALSE(sent);
  EXPECT_NE(sent.error().what().find(other->local().text()), std::string::npos);
  ASSERT_TRUE(one->send(std::string(65503, 'y'), other->local()));
  loop_->run();
  EXPECT_EQ(texts_.at(0).size(), 65503U);
}

TEST_F(DatagramTest, AnAbsentPeerBreaksNothing) {
  auto one = open();
  const Address gone = open()->local();
  auto other = open();
  listen(*other, 20);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(one->send("into the void", gone));
    ASSERT_TRUE(one->send("heard", other->local()));
  }
  loop_->run();
  EXPECT_EQ(one->dropped(), 0U);
}

TEST_F(DatagramTest, TheReceiverMayDestroyTheSocket) {
  auto one = open();
  auto other = open();
  int received = 0;
  other->on_datagram([&](base::Bytes, const Address&, const Address&) {
    ++received;
    other.reset();
    loop_->stop();
  });
  const Address to = other->local();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(one->send("x", to));
  loop_->run();
  turn_loop(*loop_, 5, [this] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(received, 1);
}

TEST_F(DatagramTest, ARangeIsUsedFromItsTopUntilItIsFull) {
  const auto low = static_cast<uint16_t>(30000 + getpid() % 2000 * 4);
  const PortRange range{low, static_cast<uint16_t>(low + 1)};
  std::vector<std::unique_ptr<DatagramSocket>> held;
  for (const int offset : {1, 0}) {
    auto socket = bind_datagram_in_range(*loop_, loopback(), range);
    ASSERT_TRUE(socket) << socket.error().what();
    EXPECT_EQ((*socket)->local().port(), low + offset);
    held.push_back(std::move(*socket));
  }
  const auto full = bind_datagram_in_range(*loop_, loopback(), range);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind(), base::ErrorKind::again);
  EXPECT_EQ(full.error().what(),
            "all UDP ports from " + std::to_string(low) + " to " + std::to_string(low + 1) + " are in use");
}

TEST_F(DatagramTest, AnAdoptedSocketKeepsWhatWaitsInIt) {
  base::Fd raw(::socket(AF_INET, SOCK_DGRAM, 0));
  const Address any = loopback();
  ASSERT_EQ(::bind(raw.get(), reinterpret_cast<const sockaddr*>(&any.storage), any.length), 0);
  const Address there = *local_address(raw.get());
  auto one = open();
  ASSERT_TRUE(one->send("early", there));
  auto adopted = adopt_datagram(*loop_, std::move(raw));
  ASSERT_TRUE(adopted) << adopted.error().what();
  listen(**adopted, 1);
  loop_->run();
  EXPECT_EQ(texts_.at(0), "early");
  // Before we asked for it the kernel did not note where it went.
  EXPECT_EQ(to_.at(0).length == 0 || to_.at(0).text() == there.text(), true);
}

TEST_F(DatagramTest, OtherSocketsAreNone) {
  for (const auto& [family, type] : {std::pair(AF_INET, SOCK_STREAM), {AF_UNIX, SOCK_DGRAM}}) {
    const auto wrong = adopt_datagram(*loop_, base::Fd(::socket(family, type, 0)));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().kind(), base::ErrorKind::refused);
  }
}

}  // namespace
}  // namespace headrace::loop
