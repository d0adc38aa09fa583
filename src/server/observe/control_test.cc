#include "server/observe/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "journal/file.h"
#include "loop/fd_stream.h"
#include "loop/test_loop.h"
#include "server/observe/control_socket.h"
#include "server/observe/control_text.h"

namespace headrace::observe {
namespace {

constexpr const char* kRun = "20261123005515";

// --- the format
// ---------------------------------------------------------------------------------------------

TEST(ControlCodec, what_is_said_is_understood) {
  ControlRequest request{.what = ControlRequest::Do::limit, .words = {"fs", "/a b", "\xff"}, .exact = true};
  request.max_dumps = 3;
  request.rate = 0;
  auto heard = parse_control_request(encode(request));
  ASSERT_TRUE(heard) << heard.error().what();
  EXPECT_EQ(*heard, request);

  ControlReply reply;
  reply.config = "daily";
  reply.now_us = 17;
  reply.dumps.push_back({"fs",
                         "/home",
                         1,
                         ControlDump::Stand::dumping,
                         true,
                         ControlDump::Outcome::done,
                         5,
                         6,
                         2,
                         {{"receive", 1, 2, 3, 4}},
                         "source"});
  reply.limits.push_back({"maxdumps", "", "fs", "", 2, 1});
  const auto back = parse_control_reply(encode(reply));
  ASSERT_TRUE(back) << back.error().what();
  EXPECT_EQ(*back, reply);
}

TEST(ControlCodec, a_request_that_makes_no_sense_is_refused_in_words) {
  struct Case {
    const char* line;
    const char* says;
  };
  const Case cases[] = {
      {"", "no JSON object"},
      {"pause fs", "no JSON object"},
      {"[]", "no JSON object"},
      {R"({"do":"explode"})", "\"do\""},
      {R"({"do":"pause"})", "at least a host"},
      {R"({"do":"pause","words":"fs"})", "\"words\""},
      {R"({"do":"pause","words":["fs"],"maxdumps":1})", "only \"limit\""},
      {R"({"do":"limit"})", "without a limit"},
      {R"({"do":"limit","inparallel":0})", "at least 1"},
      {R"({"do":"limit","maxdumps":1e99})", "\"maxdumps\""},
  };
  for (const auto& c : cases) {
    const auto request = parse_control_request(c.line);
    ASSERT_FALSE(request) << c.line;
    EXPECT_NE(request.error().what().find(c.says), std::string::npos) << request.error().what();
  }
  EXPECT_FALSE(parse_control_request(std::string(kMaxControlRequestBytes + 1, ' ')));
}

TEST(ControlText, says_what_was_done) {
  using Stand = ControlDump::Stand;
  using Outcome = ControlDump::Outcome;
  ControlReply reply;
  reply.config = "daily";
  reply.dumps = {{"fs", "/home", 0, Stand::dumping, true, Outcome::done, 3 << 20, 0},
                 {"fs", "/var", 0, Stand::waiting, true, Outcome::done},
                 {"fs", "/srv", 0, Stand::over, false, Outcome::over},
                 {"fs", "/usr", 0, Stand::dumping, true, Outcome::already, 1 << 20, 0}};
  EXPECT_EQ(pause_text(reply, true),
            "fs:/home  paused, at 3.0 MiB\n"
            "fs:/var   paused: it will not start\n"
            "fs:/srv   its dump is over\n"
            "fs:/usr   paused before, at 1.0 MiB\n");
  reply.dumps = {{"fs", "/home", 0, Stand::dumping, false, Outcome::done, 3 << 20, 0},
                 {"fs", "/var", 0, Stand::waiting, false, Outcome::done},
                 {"fs", "/usr", 0, Stand::dumping, false, Outcome::already},
                 {"fs", "/opt", 0, Stand::dumping, true, Outcome::done}};
  EXPECT_EQ(pause_text(reply, false),
            "fs:/home  goes on, at 3.0 MiB\n"
            "fs:/var   may start\n"
            "fs:/usr   was not paused\n"
            "fs:/opt   resumed, but still held by diagnose\n");
  reply.limits = {{"inparallel", "", "", "", 2, 4}, {"netusage", "default", "", "", 80000, 80000}};
  EXPECT_EQ(limits_text(reply),
            "daily: no run goes on; limits of the next one\n"
            "  inparallel                              2  configured: 4\n"
            "  netusage of interface default  78.1 MiB/s\n");
  EXPECT_EQ(changed_text(reply),
            "inparallel: 2, was 4\nnetusage of interface default: 78.1 MiB/s, was 78.1 MiB/s\n");
}

// --- the socket
// ------------------------------------------------------------------------------------------------

class Echo : public ControlHandler {
 public:
  ControlReply handle(const ControlRequest& request, uint64_t client) override {
    ++asked[client];
    ControlReply reply;
    if (request.what == ControlRequest::Do::resume) reply.error = "not now";
    for (const auto& word : request.words)
      reply.dumps.push_back({.host = word, .disk = std::string(bulk, 'x')});
    return reply;
  }
  void gone(uint64_t client) override { left.push_back(client); }
  std::map<uint64_t, int> asked;
  std::vector<uint64_t> left;
  size_t bulk = 0;
};

class ControlSocket : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/headrace-control.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root = pattern;
    logdir = root;
    deadline = loop::end_test_after_deadline(*loop);
  }
  void TearDown() override {
    server.reset();
    std::filesystem::remove_all(root);
  }

  void open() {
    std::filesystem::create_directories(logdir);
    auto writer = journal::Writer::create(logdir, kRun, clock);
    ASSERT_TRUE(writer) << writer.error().what();
    journal = std::move(*writer);
    auto opened = ControlServer::open(*loop, logdir, kRun, echo);
    ASSERT_TRUE(opened) << opened.error().what();
    server = std::move(*opened);
  }
  std::filesystem::path path() const { return control_path_of(logdir, kRun); }

  std::unique_ptr<ControlClient> client() {
    auto connected = ControlClient::connect(*loop, logdir, kRun);
    EXPECT_TRUE(connected) << connected.error().what();
    return connected ? std::move(*connected) : nullptr;
  }
  base::Result<ControlReply> ask(ControlClient& of, const ControlRequest& request) {
    base::Result<ControlReply> out = base::fail(base::ErrorKind::gone, "no answer");
    of.ask(request, [&](base::Result<ControlReply> reply) {
      out = std::move(reply);
      loop->stop();
    });
    loop->run();
    return out;
  }
  // Goes round the loop until it has come, or for so long that it never will.
  void turn_until(const std::function<bool()>& come) {
    for (int i = 0; i < 200 && !come(); ++i) {
      loop::turn_loop(*loop, 5, [this] { loop->stop(); });
      loop->run();
    }
  }
  // A peer that does as it likes.
  base::Fd raw() {
    auto fd = connect_to(path());
    EXPECT_TRUE(fd) << fd.error().what();
    return fd ? std::move(*fd) : base::Fd();
  }
  void send(const base::Fd& fd, const std::string& text) const {
    EXPECT_GE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), 0) << std::strerror(errno);
  }
  // What the peer has got so far and whether the connection has ended, after some turns of the loop.
  std::string read_until_end(const base::Fd& fd, bool& ended) {
    std::string got;
    ended = false;
    for (int i = 0; i < 200 && !ended; ++i) {
      loop::turn_loop(*loop, 5, [this] { loop->stop(); });
      loop->run();
      char buffer[65536];
      const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) got.append(buffer, static_cast<size_t>(n));
      ended = n == 0 || (n < 0 && errno != EAGAIN);
    }
    return got;
  }
  void expect_still_served() {
    auto well_behaved = client();
    ASSERT_NE(well_behaved, nullptr);
    const auto reply = ask(*well_behaved, {.what = ControlRequest::Do::pause, .words = {"me"}});
    ASSERT_TRUE(reply) << reply.error().what();
    EXPECT_EQ(reply->dumps.at(0).host, "me");
  }

  std::filesystem::path root, logdir;
  std::unique_ptr<loop::Loop> loop = loop::make_loop(1);
  base::SystemClock clock;
  std::unique_ptr<journal::Writer> journal;
  Echo echo;
  std::unique_ptr<ControlServer> server;
  std::unique_ptr<loop::Timer> deadline;
};

TEST_F(ControlSocket, answers_one_after_the_other) {
  open();
  struct stat file = {};
  ASSERT_EQ(::stat(path().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777U, 0600U);
  auto one = client();
  for (const char* word : {"a", "b"}) {
    const auto reply = ask(*one, {.what = ControlRequest::Do::pause, .words = {word}});
    ASSERT_TRUE(reply) << reply.error().what();
    EXPECT_EQ(reply->dumps.at(0).host, word);
  }
  const auto refused = ask(*one, {.what = ControlRequest::Do::resume, .words = {"a"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what(), "not now");
  EXPECT_EQ(refused.error().kind(), base::ErrorKind::refused);
}

TEST_F(ControlSocket, the_end_of_a_connection_is_told) {
  open();
  {
    auto one = client();
    ASSERT_TRUE(ask(*one, {}));
    EXPECT_TRUE(echo.left.empty());
  }
  expect_still_served();
  turn_until([this] { return echo.left.size() == 2; });
  EXPECT_EQ(echo.left, (std::vector<uint64_t>{1, 2}));
  auto other = client();
  ASSERT_TRUE(ask(*other, {}));
  server.reset();
  EXPECT_EQ(echo.left.size(), 3U);
  const auto reply = ask(*other, {});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind(), base::ErrorKind::gone);
}

TEST_F(ControlSocket, goes_with_its_run) {
  open();
  EXPECT_TRUE(std::filesystem::exists(path()));
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path()));
  const auto nobody = ControlClient::connect(*loop, logdir, kRun);
  ASSERT_FALSE(nobody);
  EXPECT_NE(nobody.error().what().find("has no control socket"), std::string::npos) << nobody.error().what();
}

TEST_F(ControlSocket, what_a_killed_run_left_is_said_and_removed) {
  // The journal of a run that was killed, and its socket; another one's, whose run lives.
  std::ofstream(journal::path_of(logdir, "20261122000000")) << "";
  for (const char* run : {"20261122000000", "20261121000000"})
    ASSERT_TRUE(listen_at(control_path_of(logdir, run)));
  auto living = journal::Writer::create(logdir, "20261123005514", clock);
  ASSERT_TRUE(living);
  const auto alive = listen_at(control_path_of(logdir, "20261123005514"));
  ASSERT_TRUE(alive);
  const auto dead = ControlClient::connect(*loop, logdir, "20261122000000");
  ASSERT_FALSE(dead);
  EXPECT_NE(dead.error().what().find("is gone"), std::string::npos) << dead.error().what();
  open();
  EXPECT_FALSE(std::filesystem::exists(control_path_of(logdir, "20261122000000")));
  EXPECT_FALSE(std::filesystem::exists(control_path_of(logdir, "20261121000000")));
  EXPECT_TRUE(std::filesystem::exists(control_path_of(logdir, "20261123005514")));
}

TEST_F(ControlSocket, is_reached_in_a_directory_with_a_long_name) {
  for (int i = 0; i < 5; ++i) logdir /= std::string(60, 'd');
  open();
  expect_still_served();
}

TEST_F(ControlSocket, rubbish_is_answered_and_harms_nobody) {
  open();
  const auto fd = raw();
  send(fd, "GET / HTTP/1.1\r\n{\"do\":\"show\"}\n");
  bool ended = false;
  const std::string got = read_until_end(fd, ended);
  EXPECT_NE(got.find("no JSON object"), std::string::npos) << got;
  EXPECT_EQ(std::count(got.begin(), got.end(), '\n'), 2) << "the second request was good";
  EXPECT_FALSE(ended);
  expect_still_served();
}

TEST_F(ControlSocket, a_line_without_end_ends_the_connection) {
  open();
  const auto fd = raw();
  bool ended = false;
  std::string got;
  for (int i = 0; i < 40 && !ended; ++i) {
    const std::string piece(16384, 'x');
    if (::send(fd.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
      break;
    loop::turn_loop(*loop, 5, [this] { loop->stop(); });
    loop->run();
  }
  got += read_until_end(fd, ended);
  EXPECT_TRUE(ended);
  expect_still_served();
}

TEST_F(ControlSocket, one_who_asks_and_does_not_read_loses_the_connection) {
  open();
  echo.bulk = size_t{1} << 20U;
  const auto fd = raw();
  const std::string request = encode({.what = ControlRequest::Do::pause, .words = {"x"}}) + "\n";
  for (int i = 0; i < 100 && echo.left.empty(); ++i) {
    (void)::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    loop::turn_loop(*loop, 5, [this] { loop->stop(); });
    loop->run();
  }
  EXPECT_EQ(echo.left.size(), 1U);
  EXPECT_LE(echo.asked[1], 12);
  echo.bulk = 0;
  expect_still_served();
}

TEST_F(ControlSocket, more_than_it_serves_are_turned_away_in_words) {
  open();
  std::vector<std::unique_ptr<ControlClient>> many;
  for (size_t i = 0; i < kMaxControlClients; ++i) {
    many.push_back(client());
    ASSERT_TRUE(ask(*many.back(), {}));
  }
  const auto fd = raw();
  bool ended = false;
  const std::string got = read_until_end(fd, ended);
  EXPECT_TRUE(ended);
  EXPECT_NE(got.find("try again"), std::string::npos) << got;
  many.pop_back();
  loop::turn_loop(*loop, 20, [this] { loop->stop(); });
  loop->run();
  expect_still_served();
}

TEST_F(ControlSocket, a_half_closed_connection_still_gets_its_answer) {
  open();
  const auto fd = raw();
  send(fd, encode(ControlRequest{}));
  ::shutdown(fd.get(), SHUT_WR);
  bool ended = false;
  const std::string got = read_until_end(fd, ended);
  EXPECT_TRUE(ended);
  EXPECT_TRUE(parse_control_reply(got.substr(0, got.find('\n')))) << got;
}

}  // namespace
}  // namespace headrace::observe
