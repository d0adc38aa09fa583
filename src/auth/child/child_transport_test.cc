// Programs as transports: what their end, their silence and their words become.
#include "auth/child/child_transport.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>

#include "auth/ssh/ssh.h"
#include "loop/test_loop.h"

namespace headrace::auth {
namespace {

using base::ErrorKind;
using loop::IoState;

class ChildTransportTest : public ::testing::Test {
 protected:
  std::unique_ptr<loop::Duplex> run(const std::string& script) {
    ChildPeer peer;
    peer.name = "the program";
    peer.program = "/bin/sh";
    peer.arguments = {"sh", "-c", script};
    peer.environment = environment_with({});
    peer.answer_deadline = deadline_of_answer;
    auto transport = run_as_transport(*loop_, std::move(peer));
    EXPECT_TRUE(transport);
    return std::move(*transport);
  }
  // Reads to the end of what comes, or to the failure.
  void read_all(loop::Readable& from) {
    while (true) {
      const auto got = from.read(buffer_);
      state_ = got.state;
      if (got.state == IoState::wait) return from.await_readable([&] { read_all(from); });
      if (got.state != IoState::moved) return loop_->stop();
      text_ += base::as_text(base::Bytes(buffer_).first(got.bytes));
    }
  }
  void write_until_failed(loop::Writable& to) {
    static std::string block(65536, 'x');
    const iovec piece{block.data(), block.size()};
    while (true) {
      const auto put = to.write({&piece, 1});
      if (put.state == IoState::wait) return to.await_writable([&] { write_until_failed(to); });
      if (put.state == IoState::failed) return loop_->stop();
    }
  }

  base::Duration deadline_of_answer = kAnswerDeadline;
  std::unique_ptr<loop::Loop> loop_ = loop::make_loop(1);
  std::unique_ptr<loop::Timer> deadline_ = loop::end_test_after_deadline(*loop_);
  std::array<std::byte, 5000> buffer_{};
  std::string text_;
  IoState state_ = IoState::wait;
};

TEST_F(ChildTransportTest, WhatItWroteComesBeforeTheReasonOfItsEnd) {
  auto transport = run("echo first; echo 'bad luck' >&2; echo second; exit 7");
  read_all(*transport);
  loop_->run();
  EXPECT_EQ(text_, "first\nsecond\n");
  EXPECT_EQ(state_, IoState::failed);
  EXPECT_EQ(transport->error().what(), "the program exited with code 7: bad luck");
  EXPECT_EQ(transport->error().kind(), ErrorKind::gone);
}

TEST_F(ChildTransportTest, AProgramThatAnsweredAndEndedWellIsAnEnd) {
  auto transport = run("echo all; echo remark >&2");
  read_all(*transport);
  loop_->run();
  EXPECT_EQ(text_, "all\n");
  EXPECT_EQ(state_, IoState::end);
}

TEST_F(ChildTransportTest, AWriterLearnsOfTheReasonToo) {
  auto transport = run("echo 'bad luck' >&2; kill -9 $$");
  write_until_failed(*transport);
  loop_->run();
  EXPECT_EQ(transport->error().what(), "the program was ended by signal 9: bad luck");
}

TEST_F(ChildTransportTest, SilenceHasADeadline) {
  deadline_of_answer = std::chrono::milliseconds(1);
  auto transport = run("exec sleep 1000");
  read_all(*transport);
  loop_->run();
  EXPECT_EQ(state_, IoState::failed);
  EXPECT_EQ(transport->error().what(), "the program gave no answer within 0 seconds");
  EXPECT_EQ(transport->error().kind(), ErrorKind::again);
  // What the program does afterwards wakes nobody twice.
  loop::turn_loop(*loop_, 20, [this] { loop_->stop(); });
  loop_->run();
}

TEST_F(ChildTransportTest, WhoWasWokenByTheDeadlineIsNotWokenByTheEnd) {
  deadline_of_answer = std::chrono::milliseconds(1);
  auto transport = run("read line; exit 1");
  int woken = 0;
  transport->await_readable([&] {
    ++woken;
    transport->abandon();  // so that it ends, with our reading end still watched
    loop::turn_loop(*loop_, 50, [this] { loop_->stop(); });
  });
  loop_->run();
  EXPECT_EQ(woken, 1);
}

TEST_F(ChildTransportTest, EndlessWordsAreHeldToTheLast) {
  auto transport = run("yes word | head -c 1000000 >&2; echo last >&2; exit 1");
  read_all(*transport);
  loop_->run();
  EXPECT_EQ(transport->error().what(), "the program exited with code 1: word; word; last");
}

TEST_F(ChildTransportTest, DestroyingLetsItEndByItself) {
  // It answers the end of its input with a file, which a killed one could not make.
  const std::string file = fmt::format("{}headrace-child-{}", ::testing::TempDir(), ::getpid());
  auto transport = run(fmt::format("echo up; cat >/dev/null; : >{}", file));
  loop::Callback look = [&] {
    if (::access(file.c_str(), F_OK) == 0) return loop_->stop();
    loop_->post([&] { look(); });
  };
  transport->await_readable([&] {
    transport.reset();
    look();
  });
  loop_->run();
  EXPECT_EQ(::unlink(file.c_str()), 0);
}

TEST(LastWords, AreFewOnOneLineAndHarmless) {
  EXPECT_EQ(last_words(""), "");
  EXPECT_EQ(last_words("\r\n \n"), "");
  EXPECT_EQ(last_words("one\r\ntwo"), "one; two");
  EXPECT_EQ(last_words("1\n2\n\n3\n4\n"), "2; 3; 4");
  EXPECT_EQ(last_words("one.\n  two (x).\n"), "one.; two (x)");
  EXPECT_EQ(last_words("\x1b[31mred\x7f è"), "?[31mred? è");
}

TEST(Ssh, RunsAsAmandaRunsIt) {
  Peer peer{.host = "client.lab", .auth = "ssh", .port = 2222};
  peer.amandad_path = "/opt/amandad";
  peer.client_username = "operator";
  peer.ssh_keys = "/k";
  EXPECT_EQ(*ssh_command(peer),
            (std::vector<std::string>{"ssh", "-x", "-o", "BatchMode=yes", "-l", "operator", "-p", "2222",
                                      "-i", "/k", "client.lab", "/opt/amandad", "-auth=ssh"}));
  EXPECT_EQ(*ssh_command({.host = "mill", .port = 0}),
            (std::vector<std::string>{"ssh", "-x", "-o", "BatchMode=yes", "-l", "backup", "mill",
                                      "/usr/lib/amanda/amandad", "-auth=ssh"}));
  EXPECT_FALSE(ssh_command({.host = "-oProxyCommand=x"}));
}

TEST(Ssh, ItsWordsGetAdvice) {
  EXPECT_EQ(explain_ssh("backup@mill: Permission denied (publickey).").kind, ErrorKind::refused);
  EXPECT_EQ(explain_ssh("Host key verification failed.").kind, ErrorKind::refused);
  EXPECT_EQ(explain_ssh("sh: 1: /opt/amandad: not found").kind, ErrorKind::refused);
  EXPECT_EQ(explain_ssh("Connection to mill closed by remote host.").kind, ErrorKind::gone);
  EXPECT_EQ(explain_ssh("Connection to mill closed by remote host.").advice, "");
}

TEST(Ssh, TheServerIsWhomSshdNames) {
  const auto peer = peer_of_ssh_connection("10.77.0.2 53510 10.77.0.10 22");
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->text(), "10.77.0.2:53510");
  EXPECT_TRUE(peer_of_ssh_connection("fe80::1 1 fe80::2 22"));
  for (const char* wrong : {"", " 1 2 3", "mill 1 mill 22"})
    EXPECT_FALSE(peer_of_ssh_connection(wrong)) << wrong;
  EXPECT_EQ(peer_of_ssh_connection(nullptr).error().kind(), ErrorKind::refused);
}

}  // namespace
}  // namespace headrace::auth
