#include "loop/net.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "loop/test_loop.h"

namespace headrace::loop {
namespace {

TEST(Address, IsPrintedWithPort) {
  EXPECT_EQ(Address::ipv4(0x0A000001, 10080).text(), "10.0.0.1:10080");
  EXPECT_EQ(Address::parse("::1", 10080)->text(), "[::1]:10080");
  EXPECT_EQ(Address::parse("10.2.3.4", 1)->host_text(), "10.2.3.4");
}

TEST(Address, IsParsedFromNumbersOnly) {
  for (const char* bad : {"", "localhost", "1.2.3.4.5", "::g", "10.0.0.1:80"}) {
    EXPECT_FALSE(Address::parse(bad, 1)) << bad;
  }
  EXPECT_FALSE(Address::parse(std::string("10.0.0.1\0x", 10), 1));
}

TEST(Address, Compares) {
  const Address one = Address::ipv4(0x7F000001, 1);
  EXPECT_TRUE(one.same_host(*Address::parse("127.0.0.1", 9)));
  EXPECT_FALSE(one.same_host(*Address::parse("127.0.0.2", 1)));
  EXPECT_FALSE(one.same_host(*Address::parse("::1", 1)));
  EXPECT_TRUE(Address::parse("::1", 1)->same_host(*Address::parse("::1", 2)));
  EXPECT_TRUE(one.is_loopback());
  EXPECT_TRUE(Address::parse("::1", 1)->is_loopback());
  EXPECT_FALSE(Address::parse("10.0.0.1", 1)->is_loopback());
}

class NetTest : public ::testing::Test {
 protected:
  void listen(uint16_t port = 0) {
    auto listener =
        listen_tcp(*loop_, Address::ipv4(INADDR_LOOPBACK, port), [this](base::Fd fd, Address peer) {
          accepted_.push_back(std::move(fd));
          peers_.push_back(peer);
          if (accepted_.size() == wanted_) loop_->stop();
        });
    ASSERT_TRUE(listener) << listener.error().what();
    listener_ = std::move(*listener);
  }
  void accept(base::Fd fd, Address peer) {
    accepted_.push_back(std::move(fd));
    peers_.push_back(peer);
    if (accepted_.size() == wanted_) loop_->stop();
  }
  base::Result<base::Fd> connect(std::vector<Address> to, ConnectOptions options = {}) {
    base::Result<base::Fd> outcome = base::fail(base::ErrorKind::cancelled, "no answer");
    bool inside = true;
    const auto operation = connect_tcp(*loop_, std::move(to), options, [&](base::Result<base::Fd> fd) {
      EXPECT_FALSE(inside);
      outcome = std::move(fd);
      loop_->stop();
    });
    inside = false;
    loop_->run();
    return outcome;
  }
  void wait_for_accepted(size_t count) {
    wanted_ = count;
    if (accepted_.size() < count) loop_->run();
    ASSERT_EQ(accepted_.size(), count);
    wanted_ = 0;
  }
  // Two ports that were free a moment ago, the lower first.
  std::vector<uint16_t> free_ports() {
    std::vector<uint16_t> ports;
    // Other tests of this file may run beside us.
    for (auto port = static_cast<uint16_t>(20100 + getpid() % 4000 * 2); ports.size() < 2; ++port) {
      if (listen_tcp(*loop_, Address::ipv4(INADDR_LOOPBACK, port), [](base::Fd, const Address&) {})) {
        ports.push_back(port);
      } else {
        ports.clear();  // they are to be neighbours
      }
    }
    return ports;
  }

  std::unique_ptr<Loop> loop_ = make_loop(1);
  std::unique_ptr<Timer> deadline_ = end_test_after_deadline(*loop_);
  std::unique_ptr<Listener> listener_;
  std::vector<base::Fd> accepted_;
  std::vector<Address> peers_;
  size_t wanted_ = 0;
};

void expect_options(int fd) {
  for (const auto& [level, name] :
       {std::pair<int, int>(IPPROTO_TCP, TCP_NODELAY), std::pair<int, int>(SOL_SOCKET, SO_KEEPALIVE)}) {
    int value = 0;
    socklen_t length = sizeof value;
    ASSERT_EQ(getsockopt(fd, level, name, &value, &length), 0);
    EXPECT_NE(value, 0);
  }
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(NetTest, ConnectsAndAccepts) {
  listen();
  const auto fd = connect({listener_->local()});
  ASSERT_TRUE(fd) << fd.error().what();
  wait_for_accepted(1);
  expect_options(fd->get());
  expect_options(accepted_[0].get());
  EXPECT_EQ(peers_[0].text(), local_address(fd->get())->text());
  EXPECT_EQ(peer_address(fd->get())->text(), listener_->local().text());
}

TEST_F(NetTest, ARefusedConnectionNamesTheAddress) {
  listen();
  const Address nobody = listener_->local();
  listener_.reset();
  const auto fd = connect({nobody});
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().what(), "connect to " + nobody.text() + ": Connection refused");
  EXPECT_EQ(fd.error().kind(), base::ErrorKind::gone);
}

TEST_F(NetTest, TriesTheAddressesInTurn) {
  listen();
  const Address nobody = Address::ipv4(INADDR_LOOPBACK, 1);
  EXPECT_TRUE(connect({nobody, listener_->local()}));
  const auto neither = connect({nobody, Address::ipv4(INADDR_LOOPBACK, 2)});
  ASSERT_FALSE(neither);
  EXPECT_EQ(neither.error().what(),
            "connect to 127.0.0.1:1: Connection refused; connect to 127.0.0.1:2: Connection refused");
  EXPECT_FALSE(connect({}));
}

TEST_F(NetTest, ASilentAddressTimesOut) {
  // A full backlog: the kernel drops what comes then.
  const base::Fd full(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Address::ipv4(INADDR_LOOPBACK, 0);
  ASSERT_EQ(bind(full.get(), reinterpret_cast<const sockaddr*>(&any.storage), any.length), 0);
  ASSERT_EQ(::listen(full.get(), 0), 0);
  const Address address = *local_address(full.get());
  std::vector<base::Fd> taken;
  base::Result<base::Fd> outcome = base::Fd();
  for (int i = 0; i < 8 && outcome; ++i) {
    outcome = connect({address}, {.timeout = std::chrono::milliseconds(30)});
    if (outcome) taken.push_back(std::move(*outcome));
  }
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().what(), "connect to " + address.text() + ": no answer within 0.03 seconds");
  EXPECT_EQ(outcome.error().kind(), base::ErrorKind::gone);
}

TEST_F(NetTest, BindsTheHighestFreeSourcePortOfTheRange) {
  listen();
  const auto ports = free_ports();
  const ConnectOptions range{.source_port_low = ports[0], .source_port_high = ports[1]};
  const auto one = connect({listener_->local()}, range);
  ASSERT_TRUE(one) << one.error().what();
  EXPECT_EQ(local_address(one->get())->port(), ports[1]);
  // The first is engaged with the same peer.
  const auto two = connect({listener_->local()}, range);
  ASSERT_TRUE(two) << two.error().what();
  EXPECT_EQ(local_address(two->get())->port(), ports[0]);
  const auto three = connect({listener_->local()}, range);
  ASSERT_FALSE(three);
  EXPECT_EQ(three.error().kind(), base::ErrorKind::again);
  EXPECT_NE(three.error().what().find("all source ports from " + std::to_string(ports[0])),
            std::string::npos);
}

TEST_F(NetTest, PassesOverASourcePortWhereSomebodyListens) {
  const auto ports = free_ports();
  listen(ports[1]);
  const auto fd = connect({listener_->local()}, {.source_port_low = ports[0], .source_port_high = ports[1]});
  ASSERT_TRUE(fd) << fd.error().what();
  EXPECT_EQ(local_address(fd->get())->port(), ports[0]);
}

TEST_F(NetTest, APortStillInTimeWaitIsPassedOver) {
  listen();
  const auto ports = free_ports();
  const ConnectOptions range{.source_port_low = ports[0], .source_port_high = ports[1]};
  {
    auto one = connect({listener_->local()}, range);
    ASSERT_TRUE(one);
    wait_for_accepted(1);
  }  // closed here first: our side goes to TIME_WAIT once the peer closes too
  accepted_.clear();
  const auto two = connect({listener_->local()}, range);
  ASSERT_TRUE(two) << two.error().what();
}

TEST_F(NetTest, BindingAReservedPortNeedsPrivilegeAndSaysSo) {
  listen();
  const ConnectOptions reserved{.source_port_low = 512, .source_port_high = 1023};
  if (geteuid() == 0) {
    const auto fd = connect({listener_->local()}, reserved);
    ASSERT_TRUE(fd) << fd.error().what();
    EXPECT_LT(local_address(fd->get())->port(), 1024);
    ASSERT_EQ(seteuid(65534), 0);
  }
  const auto fd = connect({listener_->local()}, reserved);
  if (getuid() == 0) ASSERT_EQ(seteuid(0), 0);
  if (fd) GTEST_SKIP() << "this machine reserves no ports";
  EXPECT_EQ(fd.error().kind(), base::ErrorKind::refused);
  EXPECT_EQ(fd.error().what(),
            "connect to " + listener_->local().text() +
                " from port 1023: binding a port below 1024 needs root or CAP_NET_BIND_SERVICE");
}

TEST_F(NetTest, ADroppedOperationCallsNobody) {
  listen();
  auto operation =
      connect_tcp(*loop_, {listener_->local()}, {}, [](const base::Result<base::Fd>&) { FAIL(); });
  operation.reset();
  turn_loop(*loop_, 20, [this] { loop_->stop(); });
  loop_->run();
}

TEST_F(NetTest, AListenerMayBeDestroyedFromItsCallback) {
  auto listener = listen_tcp(*loop_, Address::ipv4(INADDR_LOOPBACK, 0), [this](base::Fd fd, Address peer) {
    accept(std::move(fd), peer);
    listener_.reset();
  });
  ASSERT_TRUE(listener);
  listener_ = std::move(*listener);
  const auto one = connect({listener_->local()});
  wait_for_accepted(1);
  EXPECT_EQ(listener_, nullptr);
}

TEST_F(NetTest, TwoCannotListenOnOnePort) {
  listen();
  const auto second = listen_tcp(*loop_, listener_->local(), [](base::Fd, const Address&) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().what(), "listen on " + listener_->local().text() + ": Address already in use");
}

TEST_F(NetTest, AdoptsAListeningSocketAndNoOther) {
  base::Fd socket(::socket(AF_INET, SOCK_STREAM, 0));
  const Address any = Address::ipv4(INADDR_LOOPBACK, 0);
  ASSERT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&any.storage), any.length), 0);
  ASSERT_EQ(::listen(socket.get(), 5), 0);
  auto listener = adopt_listener(*loop_, std::move(socket),
                                 [this](base::Fd fd, Address peer) { accept(std::move(fd), peer); });
  ASSERT_TRUE(listener) << listener.error().what();
  EXPECT_TRUE(connect({(*listener)->local()}));
  wait_for_accepted(1);
  const auto none = adopt_listener(*loop_, base::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
                                   [](base::Fd, const Address&) {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind(), base::ErrorKind::refused);
}

TEST_F(NetTest, AcceptingPausesWhileDescriptorsAreShort) {
  listen();
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  size_t accepted_when_short = 0;
  // Made before the numbers run out; the kernel completes the connection without our accepting it.
  const base::Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address to = listener_->local();
  const rlimit none{.rlim_cur = 3, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.length), 0);
  turn_loop(*loop_, 20, [&] {
    accepted_when_short = accepted_.size();
    setrlimit(RLIMIT_NOFILE, &limit);
  });
  wait_for_accepted(1);
  EXPECT_EQ(accepted_when_short, 0U);
}

TEST_F(NetTest, IPv4PeersOfAnIPv6SocketAreIPv4) {
  auto any = Address::parse("::", 0);
  auto listener =
      listen_tcp(*loop_, *any, [this](base::Fd fd, Address peer) { accept(std::move(fd), peer); });
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.error().what();
  const auto fd = connect({Address::ipv4(INADDR_LOOPBACK, (*listener)->local().port())});
  ASSERT_TRUE(fd);
  wait_for_accepted(1);
  EXPECT_EQ(peers_[0].host_text(), "127.0.0.1");
}

TEST_F(NetTest, ResolvesNamesBothWays) {
  base::Result<ResolvedName> name = base::fail(base::ErrorKind::cancelled, "no answer");
  const auto operation = resolve(*loop_, "localhost", 10080, [&](base::Result<ResolvedName> found) {
    name = std::move(found);
    loop_->stop();
  });
  loop_->run();
  ASSERT_TRUE(name) << name.error().what();
  EXPECT_FALSE(name->canonical.empty());
  ASSERT_FALSE(name->addresses.empty());
  EXPECT_TRUE(name->addresses[0].is_loopback());
  EXPECT_EQ(name->addresses[0].port(), 10080);

  base::Result<std::string> back = base::fail(base::ErrorKind::cancelled, "no answer");
  const auto reverse =
      name_of_address(*loop_, Address::ipv4(INADDR_LOOPBACK, 0), [&](base::Result<std::string> found) {
        back = std::move(found);
        loop_->stop();
      });
  loop_->run();
  ASSERT_TRUE(back) << back.error().what();
  EXPECT_NE(back->find("localhost"), std::string::npos);
}

TEST_F(NetTest, AnUnresolvableNameIsNamed) {
  for (const std::string& host : {std::string(), std::string("a\0b", 3), std::string("no..host")}) {
    base::Result<ResolvedName> name = ResolvedName{};
    const auto operation = resolve(*loop_, host, 1, [&](base::Result<ResolvedName> found) {
      name = std::move(found);
      loop_->stop();
    });
    loop_->run();
    ASSERT_FALSE(name);
    EXPECT_NE(name.error().what().find(host), std::string::npos) << name.error().what();
  }
}

TEST_F(NetTest, ADroppedLookupCallsNobody) {
  auto operation = resolve(*loop_, "127.0.0.1", 1, [](const base::Result<ResolvedName>&) { FAIL(); });
  operation.reset();
  turn_loop(*loop_, 20, [this] { loop_->stop(); });
  loop_->run();
}

}  // namespace
}  // namespace headrace::loop
