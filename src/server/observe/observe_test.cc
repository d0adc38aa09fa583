#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "server/observe/progress.h"
#include "server/observe/report.h"
#include "server/observe/status.h"
#include "server/observe/text.h"

namespace headrace::observe {
namespace {

using namespace journal;
using testing::HasSubstr;

constexpr const char* kRun = "20261123005515";
constexpr int64_t kStartUs = 1795395315'000000;

// Times of day are local; the tests stand in UTC.
const int kUtc = [] {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  return 0;
}();

struct Step {
  double seconds;  // since the start
  Body body;
};

std::vector<Event> events_of(const std::vector<Step>& steps) {
  std::vector<Event> events;
  for (const auto& step : steps)
    events.push_back({kStartUs + static_cast<int64_t>(step.seconds * 1e6), step.body});
  return events;
}
std::vector<Step> operator+(std::vector<Step> a, const std::vector<Step>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ImageId image(const char* host, const char* disk, int level, const char* timestamp = kRun) {
  return {host, disk, timestamp, level};
}
const ImageId kSrv = image("wolke", "/srv", 0);
const ImageId kHome = image("wolke", "/home", 1);
const ImageId kMail = image("post.example.org", "/var/mail", 0);
const ImageId kOdd = image("sonne", "/data/Bücher und \"mehr\"", 1);
const ImageId kRoot = image("mond", "/", 1);
const ImageId kOld = image("wolke", "/home", 1, "20261122005501");
constexpr uint64_t kMiBInKib = 1024;

const std::vector<Step> kPlanning = {
    {0, RunStarted{"daily", "Example", kRun, "backup.example.org", 4711, "0.1.0", RunKind::dump}},
    {0.1,
     LeftoverFound{.what =
                       "removed the half-written wolke:/srv level 0 of 20261122005501 from holding disk"}},
    {0.2, FlushPlanned{kOld, "/hold/20261122005501/wolke._home.1", 210 * kMiBInKib}},
    {0.2, DleChosen{kSrv.host, kSrv.disk}},
    {0.2, DleChosen{kHome.host, kHome.disk}},
    {0.2, DleChosen{kMail.host, kMail.disk}},
    {0.2, DleChosen{kOdd.host, kOdd.disk}},
    {0.2, DleChosen{kRoot.host, kRoot.disk}},
    {0.2, DleChosen{"mond", "/usr"}},
    {1.0, EstimateGot{"wolke", "/srv", 0, 3500 * 1024, "client"}},
};
const std::vector<Step> kPlanned = {
    {2.0, DleSkipped{image("mond", "/usr", 1), "skip-incr"}},
    {2.0, DlePlanned{kSrv, "it was never dumped in full", 3500 * kMiBInKib, 3500 * kMiBInKib, 1024}},
    {2.0, DlePlanned{kHome, "a full is not due for 4 days", 240 * kMiBInKib, 120 * kMiBInKib, 1024}},
    {2.0, DlePlanned{kMail, "a full is overdue by 2 days", 900 * kMiBInKib, 900 * kMiBInKib, 1024}},
    {2.0, DlePlanned{kOdd, "a full is not due for 1 day", 10 * kMiBInKib, 10 * kMiBInKib, 1024}},
    {2.0, DlePlanned{kRoot, "a full is not due for 3 days", 40 * kMiBInKib, 40 * kMiBInKib, 1024}},
    {2.0, Note{"planner", Severity::info, "Adding new disk wolke:/srv."}},
    {2.0, Note{"planner", Severity::warning, "tapecycle (3) <= runspercycle (7) x runtapes (1)"}},
    {2.1, PlanDone{2.1}},
};
const std::vector<Step> kMidnight = {
    {2.2, VolumeStarted{"DAILY-007", "7", 1, "vtapes", "daily", kRun, 4096 * kMiBInKib}},
    {2.2, ImageWriteStarted{kOld, "vtapes", "daily"}},
    {2.2, DumpStarted{kSrv, 1, Destination::holding, "/hold/20261123005515/wolke._srv.0"}},
    {2.2, Waiting{kHome, "another dump of its host to end (maxdumps)"}},
    {2.2, Verdict{kHome, "scheduled", 1, "waits for another dump of its host to end (maxdumps)", 0}},
    {2.2, DumpStarted{kMail, 1, Destination::holding, "/hold/x"}},
    {2.2, DumpStarted{kOdd, 1, Destination::holding, "/hold/y"}},
    {2.2, DumpStarted{kRoot, 1, Destination::holding, "/hold/z"}},
    {3.2, PartWritten{kOld, "vtapes", "daily", "DAILY-007", 1, 1, 1, 210 * base::kMiB, 1.0, 400 * kMiBInKib}},
    {3.3, ImageWritten{.image = kOld,
                       .storage = "vtapes",
                       .pool = "daily",
                       .parts = 1,
                       .bytes = 210 * base::kMiB,
                       .seconds = 1.0,
                       .orig_kib = 400 * kMiBInKib}},
    {5.0, DumpFinished{.image = kOdd,
                       .attempt = 1,
                       .native_kib = 9 * kMiBInKib,
                       .stored_kib = 9 * kMiBInKib,
                       .seconds = 2.5,
                       .strange = true,
                       .messages = {"? /usr/bin/tar: ./b\x1b[2J: file changed as we read it",
                                    "| Total bytes written: 9437184", "sendbackup: size 9216",
                                    "sendbackup: end"}}},
    {5.1, ImageHeld{kOdd, "/hold/y", 9 * kMiBInKib, 2.6, {}}},
    {5.1, ImageWriteStarted{kOdd, "vtapes", "daily"}},
    {6.0, DumpFailed{.image = kRoot,
                     .attempt = 1,
                     .message = "the client closed the connection after 12.0 MiB",
                     .messages = {"sendbackup: start", "? gone"},
                     .will_retry = true}},
    {6.0, Waiting{kRoot, "the first tries of the others"}},
    {10.0, DumpProgress{.image = kMail, .bytes = 300 * base::kMiB}},
    {20.0, DumpProgress{.image = kMail, .bytes = 300 * base::kMiB, .waits_for = "the client"}},
    {20.0, DumpProgress{.image = kOdd, .bytes = 4 * base::kMiB}},
    {3.2, Verdict{kSrv, "network", 0.91,
                  "the client had data waiting 97 % of the time, the server waited for it 96 %; TCP: 34 "
                  "retransmitted, round trip 12.5 ms",
                  110 * base::kMiB}},
    {3.2, RunVerdict{"network", 0.6, "2 of 3 that move: the client had data waiting 97 % of the time",
                     150 * base::kMiB}},
    {8.2, Verdict{kMail, "source", 0.97,
                  "tar gave nothing 99 % of the time and used 1 % of a processor: it waits for its disk", 0}},
    {9.0, Verdict{kSrv, "holding disk", 0.9,
                  "the holding disk would not take more 95 % of the time; the client had data waiting 97 %",
                  80 * base::kMiB}},
    {19.0, Verdict{kSrv, "holding disk", 0.9,
                   "the holding disk would not take more 96 % of the time; the client had data waiting 97 %",
                   12 * base::kMiB}},
    {20.0, DumpProgress{.image = kSrv, .bytes = 1200 * base::kMiB}},
};
const std::vector<Step> kMorning = {
    {25.0, PartWritten{kOdd, "vtapes", "daily", "DAILY-007", 2, 1, 1, 9 * base::kMiB, 0.25, 9 * kMiBInKib}},
    {25.0, ImageWritten{.image = kOdd,
                        .storage = "vtapes",
                        .pool = "daily",
                        .parts = 1,
                        .bytes = 9 * base::kMiB,
                        .seconds = 0.25,
                        .orig_kib = 9 * kMiBInKib}},
    {60.0, DumpFinished{.image = kSrv,
                        .attempt = 1,
                        .native_kib = 3400 * kMiBInKib,
                        .stored_kib = 3400 * kMiBInKib,
                        .seconds = 57.8}},
    {60.0, ImageHeld{kSrv, "/hold/20261123005515/wolke._srv.0", 3400 * kMiBInKib, 57.8, {}}},
    {60.0, ImageWriteStarted{kSrv, "vtapes", "daily"}},
    {60.1, DumpStarted{kHome, 1, Destination::holding, "/hold/h"}},
    {62.0, DumpFinished{.image = kHome,
                        .attempt = 1,
                        .native_kib = 250 * kMiBInKib,
                        .stored_kib = 100 * kMiBInKib,
                        .seconds = 1.9}},
    {62.0, ImageHeld{kHome, "/hold/h", 100 * kMiBInKib, 1.9, {}}},
    {63.0, DumpFailed{.image = kMail,
                      .attempt = 1,
                      .message = "no data for 1800 s (dtimeout); look at the client's tar",
                      .messages = {"sendbackup: start", "sendbackup: info BACKUP=/usr/bin/tar"},
                      .will_retry = false}},
    {64.0, DumpStarted{kRoot, 2, Destination::holding, "/hold/z"}},
    {66.0, DumpFinished{.image = kRoot,
                        .attempt = 2,
                        .native_kib = 39 * kMiBInKib,
                        .stored_kib = 39 * kMiBInKib,
                        .seconds = 2}},
    {66.0, ImageHeld{kRoot, "/hold/z", 39 * kMiBInKib, 2, {}}},
    {70.0,
     PartWritten{kSrv, "vtapes", "daily", "DAILY-007", 3, 1, -1, 2048 * base::kMiB, 8, 3400 * kMiBInKib}},
    {78.0,
     PartWritten{kSrv, "vtapes", "daily", "DAILY-007", 4, 2, 2, 1352 * base::kMiB, 6, 3400 * kMiBInKib}},
    {78.0, ImageWritten{.image = kSrv,
                        .storage = "vtapes",
                        .pool = "daily",
                        .parts = 2,
                        .bytes = 3400 * base::kMiB,
                        .seconds = 14,
                        .orig_kib = 3400 * kMiBInKib}},
    {78.5, PartFailed{kHome, "vtapes", "daily", "DAILY-007", 5, 1, 0, 0, "no space left on volume"}},
    {78.6, VolumeFinished{"DAILY-007", 3619 * kMiBInKib, 4, "no space left on volume"}},
    {78.6, NoVolume{VolumeTrouble::config, "1 volume used; runtapes=1 does not allow more"}},
    {78.7,
     ImageLeftOnHolding{kHome, "/hold/h", 100 * kMiBInKib, "1 volume used; runtapes=1 does not allow more"}},
    {78.7,
     ImageLeftOnHolding{kRoot, "/hold/z", 39 * kMiBInKib, "1 volume used; runtapes=1 does not allow more"}},
    {79.0, RunFinished{22, 79}},
};
const std::vector<Step> kQuiet = {
    {0, RunStarted{"daily", "Example", kRun, "backup.example.org", 4711, "0.1.0", RunKind::dump}},
    {0, DleChosen{"wolke", "/srv"}},
    {1, DlePlanned{kSrv, "a full is due today", 2940, 2940, 1024}},
    {1, PlanDone{1}},
    {1, DumpStarted{kSrv, 1, Destination::volume, ""}},
    {1, VolumeStarted{"DAILY-008", "8", 1, "vtapes", "daily", kRun, 4096}},
    {2, PartWritten{kSrv, "vtapes", "daily", "DAILY-008", 1, 1, 1, 3010560, 0.1, 2940}},
    {2, DumpFinished{.image = kSrv, .attempt = 1, .native_kib = 2940, .stored_kib = 2940, .seconds = 1}},
    {2, ImageWritten{.image = kSrv,
                     .storage = "vtapes",
                     .pool = "daily",
                     .parts = 1,
                     .bytes = 3010560,
                     .seconds = 0.1,
                     .orig_kib = 2940}},
    {2, VolumeFinished{"DAILY-008", 2940, 1, "OK"}},
    {3, RunFinished{0, 3}},
};

StatusOptions at(double seconds, Life life = Life::running) {
  return {life, kStartUs + static_cast<int64_t>(seconds * 1e6)};
}

// Compares with a file of tests/data/observe, or rewrites it.
void expect_as_kept(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(HEADRACE_TEST_DATA) / "observe" / name;
  if (::getenv("HEADRACE_REWRITE") != nullptr) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::stringstream kept;
  kept << file.rdbuf();
  EXPECT_EQ(text, kept.str()) << path;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out += line + "\n";
  return out;
}

TEST(Status, reads_as_kept) {
  const auto night = kPlanning + kPlanned + kMidnight;
  expect_as_kept("status-planning.txt", status_text(reduce(events_of(kPlanning)), at(1.5)));
  expect_as_kept("status-running.txt", status_text(reduce(events_of(night)), at(20)));
  expect_as_kept("status-died.txt", status_text(reduce(events_of(night)), at(9999, Life::died)));
  expect_as_kept("status-finished.txt",
                 status_text(reduce(events_of(night + kMorning)), at(9999, Life::finished)));
  expect_as_kept("status-quiet.txt", status_text(reduce(events_of(kQuiet)), at(9999, Life::finished)));
}

// Each image is on the volume it is on, not on the newest.
TEST(Status, several_volumes_at_a_time) {
  const std::vector<Step> night = {
      {0, RunStarted{"daily", "Example", kRun, "backup.example.org", 4711, "0.1.0", RunKind::dump}},
      {1, DlePlanned{kSrv, "a full is due today", 2940, 2940, 1024}},
      {1, DlePlanned{kHome, "a full is due today", 2940, 2940, 1024}},
      {2, ImageHeld{kSrv, "/hold/s", 2940, 1, {}}},
      {2, ImageHeld{kHome, "/hold/h", 2940, 1, {}}},
      {3, VolumeStarted{"DAILY-008", "8", 1, "vtapes", "daily", kRun, 4096}},
      {3, ImageWriteStarted{kSrv, "vtapes", "daily", "DAILY-008"}},
      {4, VolumeStarted{"DAILY-009", "9", 2, "vtapes", "daily", kRun, 4096}},
      {4, ImageWriteStarted{kHome, "vtapes", "daily", "DAILY-009"}},
  };
  const auto line_of = [](const std::string& text, const std::string& word) {
    const size_t end = text.find('\n', text.find(word));
    const size_t start = text.rfind('\n', end - 1);
    return text.substr(start + 1, end - start - 1);
  };
  auto text = status_text(reduce(events_of(night)), at(5));
  EXPECT_THAT(line_of(text, kSrv.disk), testing::HasSubstr("to DAILY-008")) << text;
  EXPECT_THAT(line_of(text, kHome.disk), testing::HasSubstr("to DAILY-009")) << text;
  for (const char* volume : {"volume DAILY-008", "volume DAILY-009"})
    EXPECT_THAT(line_of(text, volume), testing::EndsWith("in use")) << text;
  EXPECT_THAT(joined(progress_screen(reduce(events_of(night)), at(5).now_us, {200, 10})),
              testing::HasSubstr("; volume DAILY-008; volume DAILY-009"));

  const std::vector<Step> later = {{5, PartWritten{kSrv, "vtapes", "daily", "DAILY-008", 1, 1, -1, 99, 1, 0}},
                                   {6, VolumeFinished{"DAILY-008", 1, 1, "OK"}},
                                   {7, VolumeStarted{"DAILY-010", "10", 3, "vtapes", "daily", kRun, 4096}}};
  text = status_text(reduce(events_of(night + later)), at(8));
  EXPECT_THAT(line_of(text, kSrv.disk), testing::HasSubstr("to DAILY-010")) << "it goes on there: " << text;
  EXPECT_THAT(line_of(text, kHome.disk), testing::HasSubstr("to DAILY-009")) << text;
}

TEST(Report, reads_as_kept) {
  const auto night = kPlanning + kPlanned + kMidnight;
  expect_as_kept("report-night.txt", report_text(reduce(events_of(night + kMorning)), {.autoflush = true}));
  expect_as_kept("report-died.txt", report_text(reduce(events_of(night)), {.life = Life::died}));
  expect_as_kept("report-running.txt", report_text(reduce(events_of(night)), {.life = Life::running}));
  expect_as_kept("report-quiet.txt", report_text(reduce(events_of(kQuiet)), {}));
  expect_as_kept("report-in-megabytes.txt",
                 report_text(reduce(events_of(night + kMorning)), {.unit_kib = 1024, .unit = 'm'}));
}

TEST(Progress, reads_as_kept) {
  const auto night = kPlanning + kPlanned + kMidnight;
  const auto now = at(20).now_us;
  expect_as_kept("progress-planning.txt",
                 joined(progress_screen(reduce(events_of(kPlanning)), at(1.5).now_us, {})));
  expect_as_kept("progress-wide.txt", joined(progress_screen(reduce(events_of(night)), now, {120, 40})));
  expect_as_kept("progress-narrow.txt", joined(progress_screen(reduce(events_of(night)), now, {60, 8})));
  std::string lines;
  for (const auto& step : night + kMorning)
    if (const auto line = progress_line(step.body)) lines += *line + "\n";
  expect_as_kept("progress-lines.txt", lines);
}

TEST(Progress, keeps_to_the_screen_whatever_happens) {
  auto steps = kPlanning + kPlanned + kMidnight;
  for (int i = 0; i < 300; ++i)
    steps.push_back(
        {3, DlePlanned{image(fmt::format("host{}", i).c_str(), "/long/ünd/böse", 0), "x", 1, 1, 1}});
  for (size_t n = 0; n <= steps.size(); n += 7) {
    const auto state = reduce(events_of({steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(n)}));
    for (const size_t width : {0, 20, 37, 80, 200})
      for (const size_t height : {0, 4, 9, 24}) {
        const auto lines = progress_screen(state, at(30).now_us, {width, height});
        ASSERT_LE(lines.size(), std::max<size_t>(height, 4));
        for (const auto& line : lines) ASSERT_LE(width_of(line), std::max<size_t>(width, 20)) << line;
      }
  }
}

TEST(Json, has_the_same_facts) {
  const auto state = reduce(events_of(kPlanning + kPlanned + kMidnight + kMorning));
  const auto status = nlohmann::json::parse(status_json(state, at(9999, Life::finished)));
  EXPECT_EQ(status["state"], "finished");
  EXPECT_EQ(status["exit_status"], 22);
  EXPECT_EQ(status["sums"]["written"]["dumps"], 3);
  EXPECT_EQ(status["sums"]["left"]["dumps"], 2);
  ASSERT_EQ(status["dumps"].size(), 7U);
  const auto& flushed = status["dumps"][0];
  EXPECT_EQ(flushed["flush"], true);
  EXPECT_EQ(flushed["state"], "written");
  EXPECT_EQ(flushed["volumes"][0], "DAILY-007");
  const auto report = nlohmann::json::parse(report_json(state, {}));
  EXPECT_EQ(report["statistics"]["total"]["dumped"], 4);
  EXPECT_EQ(report["statistics"]["full"]["taped"], 1);
  EXPECT_EQ(report["no_volume"]["trouble"], "config");
}

TEST(Json, says_what_moves) {
  const auto state = reduce(events_of(kPlanning + kPlanned + kMidnight));
  const auto status = nlohmann::json::parse(status_json(state, at(20)));
  EXPECT_TRUE(status["exit_status"].is_null());
  const auto& mail = status["dumps"][3];
  EXPECT_EQ(mail["disk"], "/var/mail");
  EXPECT_EQ(mail["state"], "dumping");
  EXPECT_EQ(mail["bytes"], 300 * base::kMiB);
  EXPECT_EQ(mail["waits_for"], "the client");
  EXPECT_DOUBLE_EQ(mail["seconds_without_data"], 10);
}

TEST(Json, survives_names_that_are_no_text) {
  const auto state = reduce(events_of({{0, DleChosen{"h", "\xff\xfe"}}}));
  EXPECT_TRUE(nlohmann::json::accept(status_json(state, at(1))));
}

TEST(Text, nobodys_file_name_steers_the_terminal) {
  struct Case {
    const char* in;
    const char* out;
  };
  const Case cases[] = {{"plain", "plain"},
                        {"\x1b[2J", "\\033[2J"},
                        {"a\nb\tc", "a\\012b\\011c"},
                        {"Bücher", "Bücher"},
                        {"\xff", "\\377"},
                        {"\xc3", "\\303"},
                        {"\xc2\x9b"
                         "2J",
                         "\\302\\2332J"},
                        {"\x7f", "\\177"},
                        {"", ""}};
  for (const auto& c : cases) EXPECT_EQ(printable(c.in), c.out);
}

TEST(Text, figures_for_people) {
  EXPECT_EQ(duration(0), "0:00");
  EXPECT_EQ(duration(61.9), "1:01");
  EXPECT_EQ(duration(3723), "1:02:03");
  EXPECT_EQ(duration(-5), "0:00");
  EXPECT_EQ(percent(1, 3), "33%");
  EXPECT_EQ(percent(999, 1000), "99%") << "100% means all";
  EXPECT_EQ(percent(3, 2), "150%");
  EXPECT_EQ(percent(3, 0), "");
  EXPECT_EQ(rate(0, 5), "");
  EXPECT_EQ(rate(5 * base::kMiB, 2), "2.5 MiB/s");
  EXPECT_EQ(count_of(1, "dump"), "1 dump");
  EXPECT_EQ(readable_timestamp("20261123005515"), "2026-11-23 00:55:15");
  EXPECT_EQ(readable_timestamp("x\n"), "x\\012");
  EXPECT_EQ(cut("Bücher", 4), "Büc…");
  EXPECT_EQ(fit("Bü", 4), "Bü  ");
  EXPECT_EQ(cut("x", 0), "");
}

// A view must show every state a journal can be cut at, and never die of one.
TEST(Views, stand_any_cut_and_any_order) {
  auto steps = kPlanning + kPlanned + kMidnight + kMorning;
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    auto some = steps;
    if (seed % 2 == 0) std::shuffle(some.begin(), some.end(), random);
    some.resize(random() % some.size());
    const auto state = reduce(events_of(some));
    for (const auto life : {Life::running, Life::died}) {
      const auto text = status_text(state, at(random() % 99, life)) + report_text(state, {.life = life});
      for (const auto& dump : state.dumps)
        ASSERT_THAT(text, HasSubstr(dle_name(dump.image))) << "seed " << seed;
      ASSERT_TRUE(nlohmann::json::accept(status_json(state, at(5, life))));
      ASSERT_TRUE(nlohmann::json::accept(report_json(state, {.life = life})));
    }
  }
}

TEST(Reasons, WhatWaitsSaysForWhatAndWhichParameter) {
  const auto state = reduce(events_of(
      kPlanning + kPlanned +
      std::vector<Step>{
          {2.05, DlePlanned{kMail,
                            "a full is overdue by 2 days (dumpcycle)",
                            1,
                            1,
                            1,
                            "",
                            0,
                            "full-due",
                            {{"dumpcycle", "7 days", "usual"}}}},
          {2.1, Waiting{kSrv,
                        "another dump of its host to end (maxdumps)",
                        "host-limit",
                        {{"maxdumps", "1", "wolke"}}}},
          {2.2, DumpStarted{kHome, 1, Destination::volume, "", "no-room"}},
          {2.3, ImageLeftOnHolding{
                    kOld, "f", 1, "not worth a volume", "thresholds", {{"taperflush", "50", "daily"}}}}}));
  EXPECT_THAT(status_text(state, at(3)), HasSubstr("waits for another dump of its host to end (maxdumps); "
                                                   "maxdumps of wolke is 1"));
  const auto json = nlohmann::json::parse(status_json(state, at(3)));
  const auto of = [&json](const ImageId& image) {
    for (const auto& it : json["dumps"])
      if (it["disk"] == image.disk && it["dump"] == image.timestamp) return it;
    return nlohmann::json();
  };
  EXPECT_EQ(of(kSrv)["waits"]["code"], "host-limit");
  EXPECT_EQ(of(kSrv)["waits"]["parameters"][0],
            (nlohmann::json{{"name", "maxdumps"}, {"value", "1"}, {"of", "wolke"}}));
  EXPECT_EQ(of(kHome)["attempts"][0]["to_because"], "no-room");
  EXPECT_FALSE(of(kHome).contains("waits"));
  EXPECT_EQ(of(kOld)["left"]["code"], "thresholds");
  EXPECT_EQ(
      of(kMail)["level_because"],
      (nlohmann::json{{"code", "full-due"},
                      {"parameters", {{{"name", "dumpcycle"}, {"value", "7 days"}, {"of", "usual"}}}}}));
  EXPECT_EQ(of(image("mond", "/usr", 1))["level_because"]["code"], "skip-incr");
}

}  // namespace
}  // namespace headrace::observe
