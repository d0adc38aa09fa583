// Whole nights that are changed while they go on.
#include <algorithm>

#include "server/drive/night_bench.h"
#include "server/drive/runner.h"

namespace headrace::drive {
namespace {

using dump::FakeClient;
using journal::Phase;

size_t index_of(const Runner& runner, const std::string& disk) {
  return runner.select({kHost, disk}, true).value().at(0);
}
Phase phase_of(const Runner& runner, const std::string& disk) {
  return runner.disks().at(index_of(runner, disk)).dump->phase;
}
bool written(const journal::Body& body, const std::string& disk) {
  const auto* it = std::get_if<journal::ImageWritten>(&body);
  return it != nullptr && it->image.disk == disk;
}
bool started(const journal::Body& body, const std::string& disk) {
  const auto* it = std::get_if<journal::DumpStarted>(&body);
  return it != nullptr && it->image.disk == disk;
}

class RunnerControls : public NightBench {};

TEST_F(RunnerControls, APausedDumpWaitsWhileTheOthersEndAndLosesNothing) {
  int ended = 0;
  const auto ran = run(all_good, [&](Runner& runner, FakeClient&, const journal::Body& body) {
    const size_t two = index_of(runner, "/d2");
    if (started(body, "/d2")) {
      EXPECT_EQ(runner.pause(two, "operator"), PauseOutcome::done);
      EXPECT_EQ(runner.pause(two, "operator"), PauseOutcome::already);
      EXPECT_EQ(runner.pause(two, "diagnose"), PauseOutcome::done);
    }
    if (!written(body, "/d1") && !written(body, "/d3")) return;
    if (++ended < 2) return;
    EXPECT_EQ(phase_of(runner, "/d2"), Phase::dumping);
    EXPECT_EQ(runner.pause(index_of(runner, "/d1"), "operator"), PauseOutcome::over);
    EXPECT_EQ(runner.resume(index_of(runner, "/d1"), "operator"), PauseOutcome::over);
    EXPECT_EQ(runner.resume(two, "operator"), PauseOutcome::done);
    EXPECT_EQ(runner.resume(two, "operator"), PauseOutcome::already);
    EXPECT_TRUE(runner.disks().at(two).dump->paused) << "the other one still holds it";
    EXPECT_EQ(runner.resume(two, "diagnose"), PauseOutcome::done);
  });
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ended, 2);
  EXPECT_EQ(ran.dump("/d2").attempts.size(), 1U);
  EXPECT_TRUE(on_volumes("/d2") == kTwo);
  EXPECT_TRUE(ran.state.pauses.empty());
}

TEST_F(RunnerControls, WhatIsPausedWhileItIsPlannedDoesNotStart) {
  bool resumed = false;
  const auto ran = run(all_good, [&](Runner& runner, FakeClient&, const journal::Body& body) {
    const size_t two = index_of(runner, "/d2");
    const auto* chosen = std::get_if<journal::DleChosen>(&body);
    if (chosen != nullptr && chosen->disk == "/d2")
      EXPECT_EQ(runner.pause(two, "operator"), PauseOutcome::done);
    if (started(body, "/d2")) EXPECT_TRUE(resumed);
    if (written(body, "/d1")) {
      EXPECT_EQ(phase_of(runner, "/d2"), Phase::planned);
      EXPECT_NE(runner.disks().at(two).dump->waits_for.find("paused"), std::string::npos);
      resumed = true;
      EXPECT_EQ(runner.resume(two, "operator"), PauseOutcome::done);
    }
  });
  EXPECT_EQ(ran.status, 0);
  EXPECT_TRUE(on_volumes("/d2") == kTwo);
}

TEST_F(RunnerControls, CancellingEndsWhatIsPaused) {
  const auto ran = run(all_good, [&](Runner& runner, FakeClient&, const journal::Body& body) {
    if (started(body, "/d2")) (void)runner.pause(index_of(runner, "/d2"), "operator");
    if (written(body, "/d1")) runner.cancel("enough");
  });
  EXPECT_EQ(ran.status & 1, 1);
  EXPECT_EQ(ran.dump("/d2").phase, Phase::failed);
  ASSERT_TRUE(ran.state.finished);
}

TEST_F(RunnerControls, LimitsAreChangedAndShown) {
  globals = "inparallel 1\nmaxdumps 1";
  size_t most = 0;
  const auto ran = run(all_good, [&](Runner& runner, FakeClient&, const journal::Body& body) {
    const auto all = runner.disks();
    most = std::max(most, static_cast<size_t>(std::ranges::count_if(all, [](const auto& it) {
                      return it.dump != nullptr && it.dump->phase == Phase::dumping;
                    })));
    if (!std::holds_alternative<journal::PlanDone>(body)) return;
    const auto changed =
        runner.change_limits({.in_parallel = 3, .netusage_kps = 100'000'000, .max_dumps = 3});
    ASSERT_TRUE(changed) << changed.error().what();
    ASSERT_EQ(changed->size(), 3U);
    EXPECT_EQ(changed->at(0).configured, 1);
    EXPECT_EQ(changed->at(2).host, kHost);
    for (const auto& limit : runner.limits())
      if (limit.limit != "netusage") EXPECT_EQ(limit.value, 3) << limit.limit;
    const auto unknown = runner.change_limits({.netusage_kps = 1, .interface = "dialup"});
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().what().find("those used: default"), std::string::npos)
        << unknown.error().what();
    EXPECT_FALSE(runner.change_limits({.words = {"nobody"}, .max_dumps = 1}));
  });
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(most, 3U);
  EXPECT_EQ(ran.count<journal::LimitChanged>(), 3U);
}

TEST_F(RunnerControls, TheNarrowestRateCounts) {
  const auto ran = run(all_good, [&](Runner& runner, FakeClient&, const journal::Body& body) {
    if (!started(body, "/d2")) return;
    const auto rates = [&runner] {
      std::vector<std::string> out;
      for (const auto& limit : runner.limits())
        if (limit.limit == "rate")
          out.push_back(limit.host + ":" + limit.disk + " " + std::to_string(limit.value));
      return out;
    };
    ASSERT_TRUE(runner.change_limits({.rate = 1'000'000}));
    ASSERT_TRUE(runner.change_limits({.words = {kHost}, .rate = 2'000'000}));
    const auto of_disk = runner.change_limits({.words = {kHost, "/d2"}, .rate = 50'000'000});
    ASSERT_TRUE(of_disk);
    EXPECT_EQ(of_disk->at(0).disk, "/d2");
    EXPECT_EQ(of_disk->at(0).configured, 0);
    const std::string host = kHost;
    EXPECT_EQ(rates(), (std::vector<std::string>{": 1000000", host + ": 2000000", host + ":/d2 50000000"}));
    ASSERT_TRUE(runner.change_limits({.words = {kHost}, .rate = 0}));
    ASSERT_TRUE(runner.change_limits({.rate = 0}));
    EXPECT_EQ(rates(), (std::vector<std::string>{host + ":/d2 50000000"}));
  });
  EXPECT_EQ(ran.status, 0);
  EXPECT_TRUE(on_volumes("/d2") == kTwo);
  const auto* finished = ran.first<journal::RunFinished>();
  ASSERT_NE(finished, nullptr);
}

}  // namespace
}  // namespace headrace::drive
