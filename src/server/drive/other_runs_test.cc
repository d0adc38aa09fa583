#include "server/drive/other_runs.h"

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "server/drive/night_bench.h"
#include "server/drive/recorder.h"

namespace headrace::drive {
namespace {

class OtherRunsTest : public NightBench {
 protected:
  OtherRunsTest() { std::filesystem::create_directories(root / "log"); }

  // Journals are locked by this process, which sees its own locks as free: another one asks. Its answer is
  // what `ask` returns.
  int asked_elsewhere(const std::function<int()>& ask) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(ask());
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
  }
  std::unique_ptr<journal::Writer> begin(const std::string& stamp, const std::vector<journal::Body>& events) {
    auto writer = journal::Writer::create(root / "log", stamp, clock);
    EXPECT_TRUE(writer);
    EXPECT_TRUE(
        (*writer)->append(journal::RunStarted{"t", "o", stamp, "vm", 4711, "0.1.0", journal::RunKind::dump}));
    for (const auto& event : events) EXPECT_TRUE((*writer)->append(event));
    return std::move(*writer);
  }
  void write_log(const std::string& stamp, const std::string& text) {
    ASSERT_TRUE(base::replace_file(root / "log" / ("log." + stamp + ".0"), text, 0600));
  }
  std::vector<TakenDisk> taken() {
    const auto config = configuration();
    auto others = find_other_runs(config, 0);
    EXPECT_TRUE(others) << others.error().what();
    return others ? others->taken(entries(config)) : std::vector<TakenDisk>{};
  }

  base::SystemClock clock;
};

TEST_F(OtherRunsTest, NobodyHasAnythingAtFirst) { EXPECT_TRUE(taken().empty()); }

TEST_F(OtherRunsTest, ALiveRunHasWhatItHasNotDoneWith) {
  const std::string stamp = "20261120000000";
  const auto writer = begin(stamp, {journal::DleChosen{kHost, "/d1"}, journal::DleChosen{kHost, "/d2"},
                                    journal::PlanFailed{{kHost, "/d2", stamp, 0}, "no estimate"},
                                    journal::FlushPlanned{{kHost, "/d3", "20261119000000", 0}, "f", 1}});
  EXPECT_EQ(
      asked_elsewhere([this] {
        const auto found = taken();
        return found.size() == 1 && found[0].disk == "/d1" &&
                       found[0].reason ==
                           "the run of 20261120000000 (process 4711 on vm) has it, and has not done with it"
                   ? 7
                   : static_cast<int>(found.size());
      }),
      7);
}

TEST_F(OtherRunsTest, ADeadRunHasNothing) {
  begin("20261120000000", {journal::DleChosen{kHost, "/d1"}}).reset();
  EXPECT_EQ(asked_elsewhere([this] { return static_cast<int>(taken().size()); }), 0);
}

TEST_F(OtherRunsTest, OneRunBeginsAtATime) {
  const auto config = configuration();
  const auto first = find_other_runs(config, 0);
  ASSERT_TRUE(first);
  EXPECT_EQ(asked_elsewhere([&config] {
              const auto second = find_other_runs(config, 0);
              return !second && second.error().kind() == base::ErrorKind::again ? 7 : 0;
            }),
            7);
}

TEST_F(OtherRunsTest, AmandasRunHasItsDisksWhileOneOfItsProcessesLives) {
  // Somebody with the name of an Amanda program in its command line.
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t planner = ::fork();
  if (planner == 0) {
    ::dup2(ready[1], 1);
    ::execl("/bin/sh", "/usr/lib/amanda/planner", "-c", "echo; kill -STOP $$", nullptr);
    ::_exit(1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::string text = "INFO amdump amdump pid " + std::to_string(planner + 100000) +
                           "\nINFO planner planner pid " + std::to_string(planner) +
                           "\nSTART planner date 20261120000000\nDISK planner 127.0.0.1 /d1\n"
                           "DISK amflush 127.0.0.1 /d2\nSTATS driver hostname vm\n";
  write_log("20261120000000", text);
  const auto found = taken();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].disk, "/d1");
  EXPECT_NE(found[0].reason.find("Amanda's run of 20261120000000"), std::string::npos) << found[0].reason;
  write_log("20261120000000", text + "INFO planner pid-done " + std::to_string(planner) + "\n");
  EXPECT_TRUE(taken().empty()) << "it said that it has ended";
  write_log("20261120000000",
            "INFO driver driver pid " + std::to_string(planner) + "\nDISK planner 127.0.0.1 /d1\n");
  EXPECT_TRUE(taken().empty()) << "the number is another program's now";
  ::kill(planner, SIGKILL);
  ::waitpid(planner, nullptr, 0);
  write_log("20261120000000", text);
  EXPECT_TRUE(taken().empty()) << "it died";
  for (const int fd : ready) ::close(fd);
}

// --- the name of a run

class FixedClock : public base::Clock {
 public:
  explicit FixedClock(const std::string& stamp) : wall_(base::unix_of_timestamp(stamp)) {}
  base::Instant now() const override { return {}; }
  int64_t wall_seconds() const override { return wall_; }

 private:
  int64_t wall_;
};

class NameOfARun : public OtherRunsTest {
 protected:
  // What it is called, or why it is refused.
  std::string name(const std::string& by_clock) {
    const FixedClock at(by_clock);
    auto recorder = Recorder::create(configuration(), at);
    if (!recorder) return recorder.error().what();
    trouble = (*recorder)->clock_trouble();
    return (*recorder)->timestamp();
  }
  std::string trouble;
};

TEST_F(NameOfARun, IsTheClocks) {
  EXPECT_EQ(name("20261120010000"), "20261120010000");
  EXPECT_EQ(name("20261121010000"), "20261121010000");
  EXPECT_EQ(trouble, "");
}

TEST_F(NameOfARun, RunsOfOneSecondAreCalledOneAfterTheOther) {
  EXPECT_EQ(name("20261120010000"), "20261120010000");
  EXPECT_EQ(name("20261120010000"), "20261120010001");
  EXPECT_EQ(name("20261120010001"), "20261120010002");
  EXPECT_EQ(trouble, "");
}

TEST_F(NameOfARun, RisesWhenTheClockWasPutBackALittle) {
  write_log("20261120025000", "");
  EXPECT_EQ(name("20261120020000"), "20261120025001");
  EXPECT_NE(trouble.find("20261120020000"), std::string::npos) << trouble;
  EXPECT_NE(trouble.find("put back"), std::string::npos) << trouble;
  EXPECT_EQ(name("20261120030000"), "20261120030000");
  EXPECT_EQ(trouble, "");
}

TEST_F(NameOfARun, IsRefusedWhenTheClockWasPutBackFar) {
  write_log("20271120025000", "");
  const auto why = name("20261120020000");
  EXPECT_NE(why.find("20261120020000"), std::string::npos) << why;
  EXPECT_NE(why.find("20271120025000"), std::string::npos) << why;
  EXPECT_NE(why.find("Set the clock"), std::string::npos) << why;
  EXPECT_FALSE(std::filesystem::exists(root / "log/log.20271120025001.0"));
}

TEST_F(NameOfARun, FilesWhoseNamesAreNoMomentCountForNothing) {
  write_log("99999999999999", "");
  EXPECT_EQ(name("20261120010000"), "20261120010000");
}

}  // namespace
}  // namespace headrace::drive
