// Which of several runs that go on a command talks to: living journals and control sockets, with runs behind
// them that only remember what they were asked.
#include "cli/run_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "cli/limit_command.h"
#include "cli/pause_command.h"
#include "journal/file.h"
#include "server/observe/control.h"

namespace headrace::cli {
namespace {

using observe::ControlDump;
using observe::ControlReply;
using observe::ControlRequest;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kFirst = "20261123005515";
constexpr const char* kSecond = "20261123015515";

// A run on a thread of its own that has one disk; "/a" and "/b" are known to all, others to those that have
// them.
class FakeRun final : public observe::ControlHandler {
 public:
  FakeRun(const std::filesystem::path& logdir, std::string timestamp, std::string disk,
          ControlDump::Stand stand)
      : timestamp_(std::move(timestamp)), disk_(std::move(disk)), stand_(stand) {
    auto writer = journal::Writer::create(logdir, timestamp_, clock_);
    EXPECT_TRUE(writer);
    writer_ = std::move(*writer);
    EXPECT_TRUE(writer_->append(
        journal::RunStarted{"daily", "Example", timestamp_, "vm", 4711, "0.1.0", journal::RunKind::dump}));
    // A loop belongs to the thread that made it, and takes posts of others while it runs.
    std::promise<bool> open;
    auto opened = open.get_future();
    thread_ = std::thread([this, &logdir, open = std::move(open)]() mutable {
      loop_ = loop::make_loop(1);
      auto server = observe::ControlServer::open(*loop_, logdir, timestamp_, *this);
      loop_->post([open = std::move(open), good = server.has_value()]() mutable { open.set_value(good); });
      loop_->run();
    });
    EXPECT_TRUE(opened.get());
  }
  ~FakeRun() override {
    loop_->post([this] { loop_->stop(); });
    thread_.join();
  }

  ControlReply handle(const ControlRequest& request, uint64_t) override {
    ControlReply reply;
    reply.config = "daily";
    reply.timestamp = timestamp_;
    if (request.what != ControlRequest::Do::show) changes_.push_back(request);
    for (const std::string& disk : std::set<std::string>{"/a", "/b", disk_}) {
      if (request.words.size() > 1 && request.words[1] != disk) continue;
      ControlDump dump{.host = "wolke", .disk = disk};
      dump.stand = disk == disk_ ? stand_ : ControlDump::Stand::over;
      dump.outcome =
          dump.stand == ControlDump::Stand::over ? ControlDump::Outcome::over : ControlDump::Outcome::done;
      if (request.what == ControlRequest::Do::show) dump.outcome = ControlDump::Outcome::none;
      reply.dumps.push_back(dump);
    }
    if (reply.dumps.empty()) reply.error = "'" + request.words[1] + "' matches nothing";
    if (request.what != ControlRequest::Do::pause) reply.limits = {{"inparallel", {}, {}, {}, 4, 4}};
    return reply;
  }
  void gone(uint64_t) override {}
  // Once no command talks to it any more.
  const std::vector<ControlRequest>& changes() const { return changes_; }

 private:
  std::string timestamp_, disk_;
  ControlDump::Stand stand_;
  base::SystemClock clock_;
  std::unique_ptr<journal::Writer> writer_;
  std::unique_ptr<loop::Loop> loop_;
  std::vector<ControlRequest> changes_;  // of the thread, which answers before a command ends
  std::thread thread_;
};

class SeveralRuns : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "runsXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    std::filesystem::create_directory(dir_ / "log");
    ASSERT_TRUE(base::replace_file(dir_ / "amanda.conf",
                                   "org \"Example\"\nlogdir \"" + (dir_ / "log").native() + "\"\n", 0600));
    ASSERT_TRUE(base::replace_file(dir_ / "disklist", "wolke /a NO-COMPRESS\nwolke /b NO-COMPRESS\n", 0600));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<FakeRun> run(const std::string& timestamp, const std::string& disk,
                               ControlDump::Stand stand = ControlDump::Stand::dumping) {
    return std::make_unique<FakeRun>(dir_ / "log", timestamp, disk, stand);
  }
  template <class F>
  int captured(F command) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int exit = command();
    std::fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return exit;
  }
  int pause(const std::vector<std::string>& words, const std::string& wanted = "", bool json = false) {
    return captured([&] { return cli::pause({dir_.native(), words, {}, json, wanted}); });
  }
  int limit(LimitOptions options) {
    options.config = dir_.native();
    return captured([&] { return cli::limit(options); });
  }
  std::filesystem::path dir_;
  std::string out_, err_;
};

TEST_F(SeveralRuns, ADumpIsPausedInTheRunThatHasIt) {
  const auto first = run(kFirst, "/a");
  const auto second = run(kSecond, "/b");
  EXPECT_EQ(pause({"wolke", "/a"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("in the run of 2026-11-23 00:55:15 (20261123005515):"));
  ASSERT_EQ(first->changes().size(), 1U);
  EXPECT_EQ(first->changes()[0].words, (std::vector<std::string>{"wolke", "/a"}));
  EXPECT_TRUE(first->changes()[0].exact);
  EXPECT_TRUE(second->changes().empty());
}

TEST_F(SeveralRuns, AHostIsPausedInEach) {
  const auto first = run(kFirst, "/a");
  const auto second = run(kSecond, "/b");
  EXPECT_EQ(pause({"wolke"}), 0) << err_;
  EXPECT_EQ(first->changes().size(), 1U);
  EXPECT_EQ(second->changes().size(), 1U);
  EXPECT_THAT(out_, Not(HasSubstr("over")));
  EXPECT_EQ(pause({"wolke", "/b"}, "", true), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["timestamp"], kSecond);
}

TEST_F(SeveralRuns, OrInTheOneThatIsNamed) {
  const auto first = run(kFirst, "/a");
  const auto second = run(kSecond, "/b");
  EXPECT_EQ(pause({"wolke", "/b"}, kFirst), 1) << "it has been there";
  EXPECT_THAT(err_, HasSubstr("not dumped any more in this run"));
  EXPECT_EQ(pause({"wolke"}, "2026112301"), 0) << err_;
  EXPECT_EQ(second->changes().size(), 1U);
  EXPECT_EQ(pause({"wolke"}, "20261123"), 1);
  EXPECT_THAT(err_, HasSubstr("several runs begin with 20261123: 20261123015515, 20261123005515"));
  EXPECT_EQ(pause({"wolke"}, "2025"), 1);
  EXPECT_THAT(err_, HasSubstr("no run 2025 is recorded"));
}

TEST_F(SeveralRuns, OneMayNotKnowWhatAnotherWasStartedFor) {
  const auto first = run(kFirst, "/c");
  const auto second = run(kSecond, "/b");
  EXPECT_EQ(pause({"wolke", "/c"}), 0) << err_;
  EXPECT_EQ(first->changes().size(), 1U);
  EXPECT_TRUE(second->changes().empty());
  EXPECT_EQ(pause({"wolke", "/d"}), 1);
  EXPECT_EQ(err_, "headrace: '/d' matches nothing\n");
}

TEST_F(SeveralRuns, WhatNoRunHasIsSaid) {
  const auto first = run(kFirst, "/a");
  const auto second = run(kSecond, "/a", ControlDump::Stand::over);
  EXPECT_EQ(pause({"wolke", "/b"}), 1);
  EXPECT_THAT(err_, HasSubstr("not dumped any more in any of the 2 runs that go on"));
}

TEST_F(SeveralRuns, ARunThatIsOverIsNotAsked) {
  run(kFirst, "/a").reset();
  const auto second = run(kSecond, "/b");
  EXPECT_EQ(pause({"wolke", "/b"}), 0) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("in the run of"))) << "there is only one";
  EXPECT_EQ(pause({"wolke"}, kFirst), 1);
  EXPECT_THAT(err_, HasSubstr("the run of 2026-11-23 00:55:15 does not go on any more"));
}

TEST_F(SeveralRuns, LimitsAreShownOfEachAndChangedOfOne) {
  const auto first = run(kFirst, "/a");
  const auto second = run(kSecond, "/b");
  EXPECT_EQ(limit({}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("limits of the run of 2026-11-23 00:55:15"));
  EXPECT_THAT(out_, HasSubstr("limits of the run of 2026-11-23 01:55:15"));
  LimitOptions whole;
  whole.in_parallel = 2;
  EXPECT_EQ(limit(whole), 1);
  EXPECT_THAT(err_, HasSubstr("2 runs go on: say which with --run: 20261123015515, 20261123005515"));
  whole.run = kFirst;
  EXPECT_EQ(limit(whole), 0) << err_;
  EXPECT_EQ(first->changes().size(), 1U);
  LimitOptions rate;
  rate.disks = {"wolke", "/b"};
  rate.rate = "5 mbps";
  EXPECT_EQ(limit(rate), 0) << err_;
  EXPECT_EQ(second->changes().size(), 1U);
  rate.disks = {"wolke"};
  EXPECT_EQ(limit(rate), 1);
  EXPECT_THAT(err_, HasSubstr("2 runs have dumps of what was named: say which with --run"));
}

}  // namespace
}  // namespace headrace::cli
