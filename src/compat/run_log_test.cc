#include "compat/run_log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <sstream>

#include "base/file.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

std::string sample(const std::string& name) {
  auto text = base::read_file(fs::path(HEADRACE_TEST_DATA) / "compat" / name);
  EXPECT_TRUE(text.has_value()) << name;
  return text.value_or("");
}

template <class Line>
std::vector<Line> all(const ParsedLog& log) {
  std::vector<Line> found;
  for (const NumberedLine& numbered : log.lines) {
    if (const auto* line = std::get_if<Line>(&numbered.line)) found.push_back(*line);
  }
  return found;
}

class RunLogDirectory : public ::testing::Test {
 protected:
  RunLogDirectory() {
    char name[] = "/tmp/headrace-runlog-XXXXXX";
    directory = ::mkdtemp(name);
  }
  ~RunLogDirectory() override { fs::remove_all(directory); }
  fs::path directory;
};

TEST(RunLog, EveryLineOfRealRunsComesBackAsItWas) {
  for (const char* name :
       {"logs/amdump.log", "logs/amflush-spanning.log", "logs/amvault.log", "logs/direct-and-fail.log",
        "lab/log/log.20261123013159.0", "lab/log/log.20261123013208.0"}) {
    std::istringstream lines(sample(name));
    for (std::string line; std::getline(lines, line);) {
      const auto parsed = parse_log_line(line);
      ASSERT_TRUE(parsed) << line << ": " << parsed.error().what();
      EXPECT_EQ(format(*parsed), line + '\n') << name;
    }
  }
}

TEST(RunLog, RealRunIsUnderstood) {
  const ParsedLog log = parse_run_log(sample("logs/amdump.log"), "log");
  EXPECT_TRUE(log.complaints.empty());
  const auto starts = all<TapeStartLine>(log);
  ASSERT_EQ(starts.size(), 1U);
  EXPECT_EQ(starts[0].datestamp, "20261123005515");
  EXPECT_EQ(starts[0].storage, "t1");
  EXPECT_EQ(starts[0].label, "T1-001");
  const auto parts = all<PartLine>(log);
  ASSERT_EQ(parts.size(), 5U);
  EXPECT_EQ(parts[1].disk, "/srv/d 3");
  EXPECT_EQ(parts[4].part, 3);
  EXPECT_EQ(parts[4].total, -1);
  EXPECT_EQ(parts[4].stats.bytes, 913408U);
  EXPECT_EQ(parts[4].stats.native_kib, 2940);
  const auto taped = all<TapedLine>(log);
  ASSERT_EQ(taped.size(), 3U);
  EXPECT_EQ(taped[0].crcs->server.text(), "9d1ec682:500437");
  EXPECT_EQ(taped[2].parts, 3);
  const auto dumped = all<DumpedLine>(log);
  ASSERT_EQ(dumped.size(), 3U);
  EXPECT_EQ(dumped[0].client.size, 500437U);
  EXPECT_EQ(all<FinishLine>(log).size(), 2U);
  EXPECT_EQ(all<EstimateLine>(log)[0].stored_kib, 288);
  EXPECT_EQ(all<TapeSummaryLine>(log)[0].kib, 3428);
  EXPECT_EQ(all<DiskLine>(log).size(), 3U);
}

TEST(RunLog, VaultLinesWithoutPoolAndChecksums) {
  const ParsedLog log = parse_run_log(sample("logs/amvault.log"), "log");
  const auto taped = all<TapedLine>(log);
  ASSERT_EQ(taped.size(), 1U);
  EXPECT_EQ(taped[0].storage, "off");
  EXPECT_EQ(taped[0].pool, "");
  EXPECT_EQ(taped[0].parts, 3);
  EXPECT_FALSE(taped[0].crcs.has_value());
}

TEST(RunLog, FailuresOfARealRun) {
  const ParsedLog log = parse_run_log(sample("logs/direct-and-fail.log"), "log");
  const auto fails = all<FailLine>(log);
  ASSERT_EQ(fails.size(), 1U);
  EXPECT_EQ(fails[0].program, "planner");
  EXPECT_EQ(fails[0].disk, "bad");
  EXPECT_TRUE(fails[0].reason.starts_with("no size line match")) << fails[0].reason;
  EXPECT_TRUE(fails[0].reason.ends_with(".debug")) << fails[0].reason;
}

TEST(RunLog, FormsOfOlderReleases) {
  const ParsedLog log = parse_run_log(sample("logs/old-forms.log"), "log");
  EXPECT_TRUE(log.complaints.empty()) << log.complaints.front();
  const auto dumped = all<DumpedLine>(log);
  ASSERT_EQ(dumped.size(), 2U);
  EXPECT_FALSE(dumped[0].has_crcs);
  EXPECT_EQ(dumped[0].native_kib, 4096);
  EXPECT_TRUE(dumped[1].strange);
  EXPECT_EQ(dumped[1].timestamp, "");
  EXPECT_EQ(dumped[1].level, 1);
  EXPECT_EQ(dumped[1].messages,
            (std::vector<std::string>{"? gtar: ./spool: socket ignored", "sendbackup: end"}));
  EXPECT_EQ(all<PartLine>(log)[0].stats.bytes, 2048U * 1024);
  EXPECT_EQ(all<PartLine>(log)[0].storage, "");
  EXPECT_EQ(all<PartLine>(log)[1].reason, "No space left on device");
  const auto taped = all<TapedLine>(log);
  ASSERT_EQ(taped.size(), 2U);
  EXPECT_EQ(taped[0].parts, 1);
  EXPECT_EQ(taped[1].parts, -1) << "a single number is the level";
  EXPECT_EQ(taped[1].level, 1);
  EXPECT_EQ(all<TaperFailLine>(log)[0].reason, "Slot 3 is empty");
  EXPECT_EQ(all<FailLine>(log)[0].reason, "data timeout");
  EXPECT_EQ(all<FailLine>(log)[0].messages, (std::vector<std::string>{"| still reading"}));
  EXPECT_EQ(all<NoTapeLine>(log)[0].reason, "No more writable valid tape found");
  EXPECT_EQ(all<RetryLine>(log)[0].delay_seconds, 300);
  EXPECT_EQ(all<SkippedLine>(log)[0].reason, "skip-incr");
}

// One of each kind, with the quoting that hurts.
std::vector<LogLine> one_of_each() {
  const std::string disk = "/a \"b\" \\c:\xc3\xa9";
  const TaperStats stats{.seconds = 0.25, .bytes = 12345, .kps = 48, .native_kib = 20};
  return {
      PidLine{"amdump", "amdump", 22},
      PidDoneLine{"amdump", 22},
      StartLine{"planner", "20261123005515"},
      FinishLine{"driver", "20261123005515", 6.2},
      FinishLine{"amvault", "20261123005515", 7},
      DiskLine{"planner", "h", disk},
      HostnameLine{"driver", "vm"},
      StartupLine{"driver", 0.5},
      EstimateLine{"h", disk, "20261123005515", 1, 1, 2, 3, 4},
      SkippedLine{"h", disk, "20261123005515", 0, "skip-full"},
      FailLine{"planner", "h", disk, "20261123005515", 0, "it's \"off\"", {}},
      FailLine{"dumper", "h", disk, "20261123005515", 0, "data timeout", {"| a", "sendbackup: end"}},
      RetryLine{"h", disk, "20261123005515", 0, 300, 1, "come \"back\""},
      DumpedLine{false, "h", disk, "20261123005515", 1, true, {1, 2}, {3, 4}, 0.125, 5, 40, 6, {}},
      DumpedLine{true, "h", disk, "", 1, true, {1, 2}, {3, 4}, 0.125, 5, 40, -1, {"? odd", "| fine"}},
      ChunkedLine{true, "h", disk, "20261123005515", 1, true, {5, 6}, 1.5, 7, 8},
      TapeStartLine{"20261123005515", "st", "pool", "L-1", 2},
      PartLine{false, "st", "pool", "L-1", 3, "h", disk, "20261123005515", 2, -1, 1, stats, ""},
      PartLine{true, "st", "pool", "L-1", 3, "h", disk, "20261123005515", 2, 4, 1, stats, "no \"room\""},
      TapedLine{false, "st", "pool", "h", disk, "20261123005515", 3, 1, TapedCrcs{{1, 2}, {3, 4}, {5, 6}},
                stats, ""},
      TapedLine{true, "st", "", "h", disk, "20261123005515", 3, 1, std::nullopt, stats, "cut"},
      TaperFailLine{true, "st", "pool", "h", disk, "20261123005515", 1, true, "runtapes"},
      NoTapeLine{false, "No acceptable volumes found"},
      TapeSummaryLine{"L-1", 10, 3, "OK"},
      TapeSummaryLine{"L-1", 10, 3, "No space left on device"},
      NoteLine{"WARNING", "planner", "tapecycle (3) <= runspercycle (7)", {}},
      NoteLine{"FATAL", "driver", "", {"more"}},
  };
}

TEST(RunLog, EveryKindIsReadBackAsItself) {
  std::string text;
  const auto lines = one_of_each();
  for (const LogLine& line : lines) text += format(line);
  const ParsedLog log = parse_run_log(text, "log");
  ASSERT_TRUE(log.complaints.empty()) << log.complaints.front();
  ASSERT_EQ(log.lines.size(), lines.size());
  std::string again;
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(log.lines[i].line.index(), lines[i].index()) << format(lines[i]);
    again += format(log.lines[i].line);
  }
  EXPECT_EQ(again, text);
  EXPECT_EQ(std::get<PartLine>(log.lines[17].line).disk, std::get<PartLine>(lines[17]).disk);
}

TEST(RunLog, FreeTextCannotMakeLines) {
  const std::string text = format(FailLine{
      "dumper", "h", "/", "20261123005515", 0, "one\nSUCCESS dumper h / 1 0 [sec 1 kb 1 kps 1]", {"a\nb"}});
  EXPECT_EQ(text,
            "FAIL dumper h / 20261123005515 0 [one SUCCESS dumper h / 1 0 [sec 1 kb 1 kps 1]]\n  a b\n");
}

TEST(RunLog, BrokenLinesAreNamedAndTheRestIsKept) {
  const ParsedLog log = parse_run_log(
      "START planner date 20261123005515\n"
      "PART taper L x h / 20261123005515 1/-1 0 [sec 1 bytes 1 kps 1]\n"
      "  belongs to the broken one\n"
      "DONE taper h / 20261123005515 1 0 [sec 1 bytes 1\n"
      "DISK planner h /\n"
      "DONE taper h / 2026112300",
      "log");
  EXPECT_EQ(log.lines.size(), 2U);
  ASSERT_EQ(log.complaints.size(), 3U);
  EXPECT_TRUE(log.complaints[0].starts_with("log:2: ")) << log.complaints[0];
  EXPECT_TRUE(log.complaints[1].starts_with("log:4: ")) << log.complaints[1];
  EXPECT_TRUE(log.complaints[2].starts_with("log:6: ")) << log.complaints[2];
}

TEST(RunLog, WhoIsStillRunning) {
  const ParsedLog log = parse_run_log(
      "INFO amdump amdump pid 1\nINFO dumper gzip pid 2\nINFO driver driver pid 3\n"
      "INFO dumper pid-done 2\nINFO driver pid-done 3\n",
      "log");
  const auto running = unfinished(log.lines);
  ASSERT_EQ(running.size(), 1U);
  EXPECT_EQ(running[0].program, "amdump");
  EXPECT_TRUE(unfinished(parse_run_log(sample("logs/amflush-spanning.log"), "log").lines).empty());
}

TEST_F(RunLogDirectory, CreatesExclusivelyAndTakesTheNextSecond) {
  const auto first = RunLog::create(directory / "log", "20261123005959");
  ASSERT_TRUE(first) << first.error().what();
  EXPECT_EQ(first->timestamp(), "20261123005959");
  const auto second = RunLog::create(directory / "log", "20261123005959");
  ASSERT_TRUE(second) << second.error().what();
  EXPECT_EQ(second->timestamp(), "20261123010000");
  EXPECT_EQ(fs::read_symlink(directory / "log" / "log").string(), "log.20261123010000.0");
  struct stat info{};
  ASSERT_EQ(::stat(second->path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_FALSE(RunLog::create(directory / "log", "now"));
}

TEST_F(RunLogDirectory, AppendsAndGoesOnAfterReopening) {
  auto log = RunLog::create(directory, "20261123005959");
  ASSERT_TRUE(log);
  ASSERT_TRUE(log->write(PidLine{"amdump", "amdump", 7}));
  auto again = RunLog::reopen(directory, "20261123005959");
  ASSERT_TRUE(again);
  ASSERT_TRUE(again->write(PidDoneLine{"amdump", 7}));
  EXPECT_EQ(base::read_file(log->path()).value(), "INFO amdump amdump pid 7\nINFO amdump pid-done 7\n");
  EXPECT_FALSE(RunLog::reopen(directory, "20261123000000"));
}

TEST_F(RunLogDirectory, ListsOldNamesTooAndNothingElse) {
  for (const char* name : {"log.20261123005959.0", "log.20041112.1", "log.20041112.amflush", "log.20041113",
                           "log.20261123.bak", "amdump.20261123005959", "log.2026.0"}) {
    ASSERT_TRUE(base::create_file(directory / name, 0600, true));
  }
  const auto logs = list_run_logs(directory);
  ASSERT_TRUE(logs);
  ASSERT_EQ(logs->size(), 4U);
  EXPECT_EQ(logs->front().timestamp, "20041112");
  EXPECT_EQ(logs->back().timestamp, "20261123005959");
  EXPECT_TRUE(list_run_logs(directory / "none")->empty());
}

TEST(RunLog, LinesAboutImagesAloneIfWanted) {
  for (const char* name :
       {"logs/amdump.log", "logs/amvault.log", "logs/direct-and-fail.log", "logs/old-forms.log"}) {
    SCOPED_TRACE(name);
    const auto all = parse_run_log(sample(name), "log");
    const auto wanted = parse_run_log(sample(name), "log", LogLines::about_images);
    auto next = wanted.lines.begin();
    for (const auto& it : all.lines) {
      const bool about = std::visit(
          []<class Line>(const Line&) {
            return std::is_same_v<Line, DumpedLine> || std::is_same_v<Line, FailLine> ||
                   std::is_same_v<Line, TapeStartLine> || std::is_same_v<Line, PartLine> ||
                   std::is_same_v<Line, TapedLine> || std::is_same_v<Line, TaperFailLine>;
          },
          it.line);
      if (!about) continue;
      // What is not needed may be among them, what is needed may not be missing.
      while (next != wanted.lines.end() && next->number < it.number) ++next;
      ASSERT_NE(next, wanted.lines.end()) << format(it.line);
      EXPECT_EQ(format(next->line), format(it.line));
    }
    EXPECT_LT(wanted.lines.size(), all.lines.size());
  }
  // What continues a line that is left out goes with it, also behind one that is wanted.
  const auto cut = parse_run_log("FAIL dumper h /d 20260101000000 0 [r]\nINFO driver x\n  more\n", "log",
                                 LogLines::about_images);
  ASSERT_EQ(cut.lines.size(), 1U);
  EXPECT_TRUE(std::get<FailLine>(cut.lines.front().line).messages.empty());
}

}  // namespace
}  // namespace headrace::compat
