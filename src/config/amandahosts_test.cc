#include "config/amandahosts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace headrace::config {
namespace {

constexpr std::string_view kText =
    "# comment\n"
    "server.example.com amanda\n"
    "other.example.com\n"
    "index.example.com root amindexd amidxtaped # comment\n"
    "index.example.com root amdump,senddiscover\n"
    "localhost backup amdump\n"
    "\n   \n"
    "Late.example.com  amanda\tsendsize,selfcheck\r\n";

std::string ask(std::string host, std::string user, std::string service, bool loopback = false) {
  const auto allowed = authorize(parse_amandahosts(kText), {.peer_host = std::move(host),
                                                            .peer_is_loopback = loopback,
                                                            .user = std::move(user),
                                                            .service = std::move(service),
                                                            .local_user = "backup",
                                                            .file = "/var/backups/.amandahosts"});
  return allowed ? "" : allowed.error().what();
}

TEST(Amandahosts, ParsesLines) {
  const auto entries = parse_amandahosts(kText);
  ASSERT_EQ(entries.size(), 6U);
  EXPECT_EQ(entries[0].host, "server.example.com");
  EXPECT_EQ(entries[0].user, "amanda");
  EXPECT_TRUE(entries[0].services.empty());
  EXPECT_EQ(entries[1].user, "");
  EXPECT_EQ(entries[2].services, (std::vector<std::string>{"amindexd", "amidxtaped"}));
  EXPECT_EQ(entries[3].services, (std::vector<std::string>{"amdump", "senddiscover"}));
  EXPECT_EQ(entries[5].services, (std::vector<std::string>{"sendsize", "selfcheck"}));
  EXPECT_EQ(entries[5].line, 9);
  EXPECT_TRUE(parse_amandahosts("").empty());
}

TEST(Amandahosts, GrantsTheDumpServicesByDefault) {
  for (const auto* service : {"noop", "selfcheck", "sendsize", "sendbackup"}) {
    EXPECT_EQ(ask("server.example.com", "amanda", service), "") << service;
    EXPECT_EQ(ask("SERVER.Example.com", "AMANDA", service), "") << service;
    EXPECT_EQ(ask("other.example.com", "backup", service), "") << service;
    EXPECT_EQ(ask("index.example.com", "root", service), "") << service;
    EXPECT_EQ(ask("anything", "backup", service, true), "") << service;
  }
  EXPECT_EQ(ask("index.example.com", "root", "amindexd"), "");
  EXPECT_EQ(ask("index.example.com", "root", "senddiscover"), "");
  EXPECT_EQ(ask("late.example.com", "amanda", "sendsize"), "");
}

TEST(Amandahosts, RefusesInAmandasWords) {
  EXPECT_EQ(
      ask("evil.example.com", "amanda", "sendbackup"),
      "Please add the line \"evil.example.com amanda amdump\" to /var/backups/.amandahosts on the client");
  EXPECT_EQ(
      ask("server.example.com", "root", "noop"),
      "Please add the line \"server.example.com root amdump\" to /var/backups/.amandahosts on the client");
  EXPECT_EQ(
      ask("server.example.com", "amanda", "amindexd"),
      "Please add the line \"server.example.com amanda amindexd amidxtaped\" to /var/backups/.amandahosts on "
      "the server");
  EXPECT_EQ(ask("server.example.com", "amanda", "nonsense"),
            "/var/backups/.amandahosts: invalid service nonsense");
  EXPECT_NE(ask("late.example.com", "amanda", "sendbackup"), "");
  EXPECT_NE(ask("localhost.evil.org", "backup", "noop"), "");
  EXPECT_NE(ask("server.example.com", "amanda", "amdump"), "");  // a name for others, no service
}

class AmandahostsFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "amandahosts-XXXXXX";
    const int fd = ::mkstemp(pattern.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
    path_ = pattern;
    std::ofstream(path_) << kText;
  }
  void TearDown() override { ::unlink(path_.c_str()); }
  std::filesystem::path path_;
};

TEST_F(AmandahostsFile, IsReadWhenItIsItsOwnersAlone) {
  ::chmod(path_.c_str(), 0600);
  EXPECT_TRUE(check_amandahosts_file(path_, ::getuid()));
  const auto entries = read_amandahosts(path_, ::getuid());
  ASSERT_TRUE(entries);
  EXPECT_EQ(entries->size(), 6U);
}

TEST_F(AmandahostsFile, IsRefusedOtherwise) {
  ::chmod(path_.c_str(), 0640);
  const std::string file = path_.string();
  EXPECT_EQ(
      check_amandahosts_file(path_, ::getuid()).error().what(),
      file + ": incorrect permissions; file must be accessible only by its owner (chmod 600 " + file + ")");
  ::chmod(path_.c_str(), 0600);
  const uid_t other = ::getuid() + 1;
  EXPECT_EQ(read_amandahosts(path_, other).error().what(),
            file + ": owned by id " + std::to_string(::getuid()) + ", should be " + std::to_string(other));
  EXPECT_EQ(read_amandahosts("/nowhere/f", 0).error().what(),
            "cannot open /nowhere/f: No such file or directory");
}

}  // namespace
}  // namespace headrace::config
