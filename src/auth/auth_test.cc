// Reaching a peer by the auth's name: unknown auths, the local one with a program of ours, host checks.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "auth/connect.h"
#include "auth/host_check.h"
#include "loop/test_loop.h"

namespace headrace::auth {
namespace {

using base::ErrorKind;
using base::Result;

class AuthTest : public ::testing::Test {
 protected:
  AuthTest() {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("headrace-auth-{}", ::getpid());
    std::filesystem::create_directories(folder_);
  }
  ~AuthTest() override { std::filesystem::remove_all(folder_); }

  std::string script(const std::string& text) {
    const auto path = folder_ / "amandad";
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    EXPECT_EQ(::chmod(path.c_str(), 0755), 0);
    return path;
  }
  Result<std::unique_ptr<Path>> reach(Peer peer) {
    std::optional<Result<std::unique_ptr<Path>>> got;
    const auto operation = connector_.connect(std::move(peer), [&](auto path) {
      got = std::move(path);
      loop_->stop();
    });
    EXPECT_FALSE(got) << "never from inside";
    loop_->run();
    if (!got) return base::fail(ErrorKind::cancelled, "nothing came");
    return std::move(*got);
  }

  std::unique_ptr<loop::Loop> loop_ = loop::make_loop(1);
  std::unique_ptr<loop::Timer> deadline_ = loop::end_test_after_deadline(*loop_);
  NetConnector connector_{*loop_};
  std::filesystem::path folder_;
};

TEST_F(AuthTest, AnUnknownAuthIsNamed) {
  const auto path = reach({.host = "localhost", .auth = "KRB5"});
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().kind(), ErrorKind::unsupported);
  EXPECT_EQ(path.error().what(),
            R"(auth "krb5" cannot be used yet; "bsd", "bsdtcp", "bsdudp", "ssh" and "local" can)");
}

TEST_F(AuthTest, DestroyingTheOperationCancels) {
  for (const char* name : {"krb5", "bsdtcp", "ssh", "local"}) {
    bool called = false;
    auto operation =
        connector_.connect({.host = "127.0.0.1", .auth = name}, [&](const auto&) { called = true; });
    operation.reset();
    loop::turn_loop(*loop_, 20, [this] { loop_->stop(); });
    loop_->run();
    EXPECT_FALSE(called) << name;
  }
}

TEST_F(AuthTest, LocalSpeaksWithItsChild) {
  // What echoes shows both directions: the request itself comes back.
  auto path = reach(
      {.host = "127.0.0.1", .auth = "Local", .amandad_path = script("test $1 = -auth=local && exec cat")});
  ASSERT_TRUE(path) << path.error().what();
  EXPECT_FALSE((*path)->names_user());
  const auto talk = (*path)->begin();
  std::string came;
  talk->on_packet([&](Result<wire::Packet> packet) {
    ASSERT_TRUE(packet) << packet.error().what();
    came = packet->body;
    loop_->stop();
  });
  ASSERT_TRUE(talk->send({wire::PacketType::req, "SERVICE noop\n"}));
  loop_->run();
  EXPECT_EQ(came, "SERVICE noop\n");
}

TEST_F(AuthTest, AChildThatEndsOrChattersIsAnError) {
  struct Case {
    const char* program;
    const char* text;
    ErrorKind kind;
  };
  for (const Case& c : {Case{"echo no such luck >&2; exit 3",
                             "the local client program exited with code 3: no such luck", ErrorKind::gone},
                        Case{"exit 0", "the local client program ended without an answer", ErrorKind::gone},
                        Case{"echo Welcome to this machine", "", ErrorKind::corrupt}}) {
    auto path = reach({.host = "127.0.0.1", .auth = "local", .amandad_path = script(c.program)});
    ASSERT_TRUE(path) << path.error().what();
    const auto talk = (*path)->begin();
    std::optional<base::Error> error;
    talk->on_packet([&](Result<wire::Packet> packet) {
      ASSERT_FALSE(packet);
      error = packet.error();
      loop_->stop();
    });
    loop_->run();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), c.kind);
    if (*c.text != '\0') EXPECT_EQ(error->what(), c.text);
  }
}

TEST_F(AuthTest, LocalIsForThisMachineAlone) {
  const auto path = reach({.host = "192.0.2.1", .auth = "local"});
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().kind(), ErrorKind::refused);
  EXPECT_EQ(path.error().what(),
            R"(192.0.2.1 is not this machine: auth "local" reaches only the server itself)");
}

TEST_F(AuthTest, AMissingClientProgramIsSaid) {
  const auto path = reach({.host = "127.0.0.1", .auth = "local", .amandad_path = folder_ / "absent"});
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().what().find("absent"), std::string::npos) << path.error().what();
}

TEST_F(AuthTest, LoopbackIsWhoItSaysAndNowhereIsNot) {
  for (const bool real : {true, false}) {
    std::optional<Result<std::string>> got;
    const auto address = loop::Address::ipv4(real ? 0x7f000001 : 0x7f636363, 700);
    const auto operation = check_host(*loop_, address, [&](Result<std::string> name) {
      got = std::move(name);
      loop_->stop();
    });
    loop_->run();
    ASSERT_TRUE(got);
    if (real) {
      ASSERT_TRUE(*got) << got->error().what();
      EXPECT_FALSE((*got)->empty());
    } else {
      EXPECT_FALSE(*got);
    }
  }
}

}  // namespace
}  // namespace headrace::auth
