#include "loop/cpu_use.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/fd.h"
#include "loop/tcp_info.h"

namespace headrace::loop {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(CpuUse, of_a_schedstat) {
  EXPECT_EQ(parse_schedstat("5602878 5302216 4\n"), (CpuUse{nanoseconds(5602878), nanoseconds(5302216)}));
  EXPECT_FALSE(parse_schedstat("5602878"));
  EXPECT_FALSE(parse_schedstat(""));
  EXPECT_FALSE(parse_schedstat("-1 2 3"));
}

TEST(CpuUse, of_the_machine) {
  const auto machine = parse_proc_stat("cpu  100 1 50 1000 20 3 4 2 0 0\ncpu0 1 1\ncpu1 2 2\nintr 17\n", 100);
  ASSERT_TRUE(machine);
  EXPECT_EQ(machine->busy, milliseconds(1600));
  EXPECT_EQ(machine->idle, milliseconds(10200));
  EXPECT_EQ(machine->processors, 2U);
  EXPECT_FALSE(parse_proc_stat("cpu  100 1 50", 100));
  EXPECT_FALSE(parse_proc_stat("intr 1", 100));
}

TEST(CpuUse, of_ourselves_grows) {
  const auto before = cpu_use_of_this_thread();
  volatile uint64_t sum = 0;
  while (cpu_use_of_this_thread().ran == before.ran) sum = sum + 1;
  EXPECT_GT(cpu_use_of_this_thread().ran, before.ran);
  EXPECT_TRUE(cpu_use_of(::getpid()));
  EXPECT_TRUE(machine_cpu());
}

TEST(TcpFacts, of_what_is_no_tcp_socket_are_none) {
  EXPECT_FALSE(tcp_facts_of(-1));
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const base::Fd one(ends[0]);
  const base::Fd two(ends[1]);
  EXPECT_FALSE(tcp_facts_of(one.get()));
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const base::Fd three(ends[0]);
  const base::Fd four(ends[1]);
  EXPECT_FALSE(tcp_facts_of(three.get()));
}

TEST(TcpFacts, count_what_was_sent) {
  const base::Fd listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), generic, length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), generic, &length), 0);
  const base::Fd sender(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(::connect(sender.get(), generic, length), 0);
  const base::Fd receiver(::accept(listener.get(), nullptr, nullptr));
  ASSERT_TRUE(receiver);
  const std::string text(1000, 'x');
  ASSERT_EQ(::write(sender.get(), text.data(), text.size()), 1000);
  std::array<char, 1000> got{};
  ASSERT_EQ(::recv(receiver.get(), got.data(), got.size(), MSG_WAITALL), 1000);
  const auto facts = tcp_facts_of(receiver.get());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->bytes_received, 1000U);
  EXPECT_EQ(facts->segments_received, 1U);
  EXPECT_TRUE(tcp_facts_of(sender.get()));
}

}  // namespace
}  // namespace headrace::loop
