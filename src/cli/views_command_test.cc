#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "cli/report_command.h"
#include "cli/status_command.h"
#include "journal/file.h"

namespace headrace::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kRun = "20261123005515";

// A configuration with a log directory of its own.
class ViewCommands : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "viewsXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    std::filesystem::create_directory(dir_ / "log");
    write("amanda.conf", "org \"Example\"\nlogdir \"" + (dir_ / "log").native() + "\"\n");
    write("disklist", "wolke /srv NO-COMPRESS\n");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(base::replace_file(dir_ / name, text, 0600));
  }
  std::unique_ptr<journal::Writer> begin(const std::string& timestamp = kRun) {
    auto writer = journal::Writer::create(dir_ / "log", timestamp, clock_);
    EXPECT_TRUE(writer);
    EXPECT_TRUE((*writer)->append(
        journal::RunStarted{"daily", "Example", timestamp, "vm", 4711, "0.1.0", journal::RunKind::dump}));
    EXPECT_TRUE((*writer)->append(journal::DleChosen{"wolke", "/srv"}));
    return std::move(*writer);
  }
  static void finish(journal::Writer& writer, const std::string& timestamp = kRun) {
    const journal::ImageId image{"wolke", "/srv", timestamp, 0};
    EXPECT_TRUE(writer.append(journal::DumpStarted{.image = image}));
    EXPECT_TRUE(writer.append(
        journal::DumpFinished{.image = image, .native_kib = 10, .stored_kib = 10, .seconds = 1}));
    EXPECT_TRUE(writer.append(journal::ImageWritten{image, "s", "p", 1, 10240, 1, 10}));
    EXPECT_TRUE(writer.append(journal::RunFinished{0, 3}));
  }

  struct Output {
    int exit = 0;
    std::string out, err;
  };
  template <class F>
  static Output captured(F command) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Output output;
    output.exit = command();
    std::fflush(stdout);
    output.out = testing::internal::GetCapturedStdout();
    output.err = testing::internal::GetCapturedStderr();
    return output;
  }
  Output status(bool follow = false, bool json = false) {
    return captured([&] { return cli::status(dir_.native(), follow, json); });
  }
  Output report(const std::string& timestamp = "", bool json = false) {
    return captured([&] { return cli::report(dir_.native(), timestamp, json); });
  }

  std::filesystem::path dir_;
  base::SystemClock clock_;
};

TEST_F(ViewCommands, say_when_there_was_no_run) {
  for (const auto& output : {status(), report()}) {
    EXPECT_EQ(output.exit, 1);
    EXPECT_EQ(output.out, "");
    EXPECT_THAT(output.err, HasSubstr("no run of headrace is recorded in " + (dir_ / "log").native()));
    EXPECT_THAT(output.err, Not(HasSubstr("amreport")));
  }
}

TEST_F(ViewCommands, name_amreport_for_amandas_runs) {
  write("log/log.20261122010101.0", "INFO amdump amdump pid 1\n");
  const auto none = report();
  EXPECT_EQ(none.exit, 1);
  EXPECT_THAT(none.err, HasSubstr("made (20261122010101); amreport and amstatus show it"));
  finish(*begin());
  EXPECT_EQ(report().err, "") << "ours is newer";
  write("log/log.20261124010101.0", "INFO amdump amdump pid 1\n");
  const auto both = report();
  EXPECT_EQ(both.exit, 0);
  EXPECT_THAT(both.err, HasSubstr("20261124010101"));
}

TEST_F(ViewCommands, show_a_run_that_goes_on) {
  const auto writer = begin();
  const auto shown = status();
  EXPECT_EQ(shown.exit, 0) << "nothing went wrong yet";
  EXPECT_THAT(shown.out, HasSubstr("planning for"));
  EXPECT_THAT(shown.out, HasSubstr("process 4711 on vm"));
  EXPECT_EQ(nlohmann::json::parse(status(false, true).out)["state"], "running");
  EXPECT_THAT(report().out, HasSubstr("THE RUN STILL GOES ON"));
}

TEST_F(ViewCommands, say_that_a_dead_run_did_not_finish) {
  begin().reset();
  const auto shown = status();
  EXPECT_EQ(shown.exit, 9);
  EXPECT_THAT(shown.out, HasSubstr("DID NOT FINISH: process 4711 on vm is gone"));
  const auto reported = report();
  EXPECT_EQ(reported.exit, 9);
  EXPECT_THAT(reported.out, HasSubstr("*** THE DUMPS DID NOT FINISH PROPERLY!"));
  EXPECT_THAT(reported.out, HasSubstr("wolke /srv RESULTS MISSING"));
  EXPECT_EQ(nlohmann::json::parse(status(false, true).out)["state"], "died");
}

TEST_F(ViewCommands, tell_of_a_torn_journal) {
  {
    const auto writer = begin();
    const auto fd = base::open_file(writer->path(), O_WRONLY | O_APPEND);
    ASSERT_TRUE(fd);
    ASSERT_TRUE(base::write_all(fd->get(), "{\"t\":1", "journal"));
    EXPECT_EQ(status().err, "") << "perhaps it is just being written";
  }
  EXPECT_THAT(status().err, HasSubstr("the last line is incomplete"));
  EXPECT_THAT(report().err, HasSubstr("the last line is incomplete"));
}

TEST_F(ViewCommands, show_a_finished_run) {
  finish(*begin());
  EXPECT_EQ(status().exit, 0);
  EXPECT_THAT(status().out, HasSubstr("all well"));
  const auto reported = report();
  EXPECT_EQ(reported.exit, 0);
  EXPECT_THAT(reported.out, HasSubstr("DLEs Dumped                      1"));
  EXPECT_EQ(nlohmann::json::parse(report("", true).out)["statistics"]["total"]["dumped"], 1);
}

TEST_F(ViewCommands, choose_the_run) {
  finish(*begin("20261121005515"), "20261121005515");
  finish(*begin("20261122005515"), "20261122005515");
  EXPECT_THAT(report().out, HasSubstr("November 22, 2026"));
  EXPECT_THAT(report("20261121").out, HasSubstr("November 21, 2026"));
  const auto none = report("2025");
  EXPECT_EQ(none.exit, 1);
  EXPECT_THAT(none.err, HasSubstr("the newest are 20261122005515, 20261121005515"));
  // An older run that goes on is what status is asked for.
  const auto going_on = begin("20261120005515");
  EXPECT_THAT(status().out, HasSubstr("2026-11-20"));
}

TEST_F(ViewCommands, show_all_runs_that_go_on) {
  const auto older = begin("20261121005515");
  finish(*begin("20261122005515"), "20261122005515");
  const auto newer = begin("20261123005515");
  const auto shown = status();
  EXPECT_EQ(shown.exit, 0);
  EXPECT_LT(shown.out.find("2026-11-21"), shown.out.find("2026-11-23")) << shown.out;
  EXPECT_THAT(shown.out, Not(HasSubstr("2026-11-22")));
  const auto json = nlohmann::json::parse(status(false, true).out);
  EXPECT_EQ(json["timestamp"], "20261123005515");
  EXPECT_EQ(json["other_runs"], nlohmann::json::array({"20261121005515"}));
  const auto one = captured([&] { return cli::status(dir_.native(), false, true, {}, "20261122"); });
  EXPECT_EQ(nlohmann::json::parse(one.out)["timestamp"], "20261122005515");
  EXPECT_FALSE(nlohmann::json::parse(one.out).contains("other_runs"));
  const auto none = captured([&] { return cli::status(dir_.native(), false, true, {}, "2025"); });
  EXPECT_EQ(none.exit, 1);
  EXPECT_THAT(none.err, HasSubstr("no run 2025 is recorded"));
}

TEST_F(ViewCommands, follow_the_newest_of_several) {
  const auto older = begin("20261121005515");
  const auto newer = begin("20261123005515");
  finish(*newer, "20261123005515");
  const auto lines = status(true);
  EXPECT_EQ(lines.exit, 0);
  EXPECT_THAT(lines.out, HasSubstr("all well"));
  EXPECT_THAT(lines.err, HasSubstr("the newest of 2 runs that go on; --run follows another: 20261121005515"));
}

TEST_F(ViewCommands, follow_to_the_end) {
  finish(*begin());
  const auto lines = status(true);
  EXPECT_EQ(lines.exit, 0);
  EXPECT_THAT(lines.out, HasSubstr("run of daily started, process 4711 on vm\n"));
  EXPECT_THAT(lines.out, HasSubstr("finished after 0:03: all well\n"));
  const auto json = status(true, true);
  std::istringstream events(json.out);
  std::string line;
  int count = 0;
  while (std::getline(events, line)) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    ++count;
  }
  EXPECT_EQ(count, 6);
}

TEST_F(ViewCommands, follow_goes_on_while_the_run_does) {
  const auto writer = begin();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const base::Fd from(ends[0]);
  base::Fd to(ends[1]);
  std::fflush(stdout);
  const base::Fd terminal(::dup(STDOUT_FILENO));
  ASSERT_GE(::dup2(to.get(), STDOUT_FILENO), 0);
  to.reset();
  std::string out;
  // Its first lines are proof that it has looked while the run went on; the rest takes another look.
  std::thread reader([&] {
    char some[4096];
    while (true) {
      const auto got = ::read(from.get(), some, sizeof some);
      if (got <= 0) return;
      if (out.empty()) finish(*writer);
      out.append(some, static_cast<size_t>(got));
    }
  });
  const int exit = cli::status(dir_.native(), true, false);
  EXPECT_GE(::dup2(terminal.get(), STDOUT_FILENO), 0);
  reader.join();
  EXPECT_EQ(exit, 0);
  EXPECT_THAT(out, HasSubstr("run of daily started, process 4711 on vm\n"));
  EXPECT_THAT(out, HasSubstr("finished after 0:03: all well\n"));
}

TEST_F(ViewCommands, follow_says_when_the_run_dies) {
  begin().reset();
  const auto output = status(true);
  EXPECT_EQ(output.exit, 9);
  EXPECT_THAT(output.err, HasSubstr("did not finish"));
}

TEST_F(ViewCommands, a_wrong_configuration_is_1) {
  write("amanda.conf", "nonsense 1\n");
  EXPECT_EQ(status().exit, 1);
  EXPECT_THAT(report().err, HasSubstr("nonsense"));
}

}  // namespace
}  // namespace headrace::cli
