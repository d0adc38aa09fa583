#include "server/drive/drive.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace headrace::drive {
namespace {

using config::Holding;
using journal::Destination;
using testing::ElementsAre;
using testing::IsEmpty;

std::string text(const Command& command) {
  struct Printer {
    std::string operator()(const StartDump& c) const {
      return fmt::format("start {}#{} {}", c.id, c.attempt,
                         c.to == Destination::holding ? "holding" : "volume");
    }
    std::string operator()(const WriteImage& c) const { return fmt::format("write {}", c.id); }
    std::string operator()(const LoadVolume& c) const { return fmt::format("load {}", c.sequence); }
    std::string operator()(const DenyVolume&) const { return "deny"; }
    std::string operator()(const Degraded& c) const {
      return fmt::format("degraded {}: {}", c.trouble == journal::VolumeTrouble::config ? "config" : "error",
                         c.reason);
    }
    std::string operator()(const TakeDegraded& c) const { return fmt::format("incremental {}", c.id); }
    std::string operator()(const GiveUp& c) const { return fmt::format("give up {}: {}", c.id, c.reason); }
    std::string operator()(const LeaveOnHolding& c) const {
      return fmt::format("leave {}: {}", c.id, c.reason);
    }
    std::string operator()(const AbortDump& c) const { return fmt::format("abort dump {}", c.id); }
    std::string operator()(const AbortWrite& c) const { return fmt::format("abort write {}", c.id); }
    std::string operator()(const NowWaits& c) const {
      return fmt::format("{} waits for {}", c.id, text_of(c.why));
    }
    std::string operator()(const FinishRun&) const { return "finish"; }
  };
  return std::visit(Printer{}, command);
}

// A drive with holding disks, whose space the test sets by hand.
struct Night {
  explicit Night(Limits limits = {.in_parallel = 4, .volumes = 1}, uint64_t holding_kib = 1000)
      : drive(limits), holding{holding_kib, holding_kib} {}

  // What it answers, without the reasons for waiting.
  std::vector<std::string> on(const Input& input) {
    std::vector<std::string> out;
    waits.clear();
    for (const auto& command : drive.on(input, holding)) {
      if (std::holds_alternative<NowWaits>(command))
        waits.push_back(text(command));
      else
        out.push_back(text(command));
    }
    return out;
  }

  Drive drive;
  HoldingView holding;
  std::vector<std::string> waits;
};

Job job(JobId id, std::string host = "h") {
  return {.id = id, .host = std::move(host), .est_stored_kib = 100, .max_dumps = 10};
}
Job on_host(JobId id, std::string host, int64_t max_dumps, int spindle = -1) {
  auto it = job(id, std::move(host));
  it.max_dumps = max_dumps;
  it.spindle = spindle;
  return it;
}
Job with_holding(JobId id, Holding holding, uint64_t est_kib = 100) {
  auto it = job(id);
  it.holding = holding;
  it.est_stored_kib = est_kib;
  return it;
}

TEST(Drive, a_run_with_nothing_to_do_finishes) {
  Night night;
  EXPECT_THAT(night.on(Schedule{}), ElementsAre("finish"));
  EXPECT_TRUE(night.drive.finished());
  EXPECT_THAT(night.on(SpaceFreed{}), IsEmpty());
}

TEST(Drive, one_dump_goes_to_holding_then_to_a_volume) {
  Night night;
  EXPECT_THAT(night.on(Schedule{{job(1)}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1"));
  EXPECT_THAT(night.waits, ElementsAre("1 waits for a volume"));
  EXPECT_TRUE(night.drive.will_free_space());
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 1"));
  EXPECT_TRUE(night.drive.will_free_space());
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("finish"));
}

TEST(Drive, dumps_and_flush_overlap_and_the_plan_is_not_waited_for) {
  Night night;
  EXPECT_THAT(night.on(Flush{{7, 8}}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 7"));
  EXPECT_THAT(night.waits, ElementsAre("8 waits for the volume writer"));
  EXPECT_THAT(night.on(Schedule{{job(1)}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(ImageWritten{7}), ElementsAre("write 8"));
  EXPECT_THAT(night.on(DumpHeld{1}), IsEmpty());
  EXPECT_THAT(night.on(ImageWritten{8}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("finish"));
}

TEST(Drive, a_volume_is_begun_when_enough_is_held_and_expected) {
  Night night({.in_parallel = 1, .volumes = 2, .held_threshold_kib = 50, .scheduled_threshold_kib = 300});
  night.on(Schedule{{job(1), job(2), job(3)}});  // of 100 KiB each
  EXPECT_THAT(night.on(DumpHeld{1, 40}), ElementsAre("start 2#1 holding")) << "40 KiB are held";
  EXPECT_THAT(night.waits, testing::Contains("1 waits for more to write (flush-threshold-dumped, "
                                             "flush-threshold-scheduled)"));
  EXPECT_THAT(night.on(DumpHeld{2, 100}), ElementsAre("start 3#1 holding")) << "240 KiB are held or expected";
  EXPECT_THAT(night.on(DumpHeld{3, 170}), ElementsAre("load 1")) << "at the end all is flushed";
}

TEST(Drive, at_the_end_taperflush_decides) {
  for (const uint64_t held : {100, 101}) {
    Night night({.in_parallel = 1, .volumes = 1, .held_threshold_kib = 1000, .flush_kib = 100});
    night.on(Schedule{{job(1)}});
    const auto said = night.on(DumpHeld{1, held});
    if (held > 100)
      EXPECT_THAT(said, ElementsAre("load 1"));
    else
      EXPECT_THAT(said,
                  ElementsAre("leave 1: what is held is not worth a volume yet (taperflush)", "finish"));
  }
}

TEST(Drive, thresholds_do_not_keep_a_dump_waiting_for_room) {
  Night night({.in_parallel = 2, .volumes = 1, .held_threshold_kib = 1000}, 250);
  night.on(Schedule{{job(1), job(2), with_holding(3, Holding::automatic, 200)}});
  night.holding.free_kib = 100;
  EXPECT_THAT(night.on(DumpHeld{1, 50}), ElementsAre("load 1")) << "3 does not fit";

  Night running({.in_parallel = 2, .volumes = 1, .held_threshold_kib = 1000});
  running.on(Schedule{{job(1), job(2)}});
  EXPECT_THAT(running.on(DumpHeld{1, 50}), IsEmpty());
  EXPECT_THAT(running.on(SpaceWanted{}), ElementsAre("load 1")) << "2 is larger than expected";
  EXPECT_TRUE(running.drive.space_is_wanted());
  running.on(VolumeReady{});
  running.on(ImageWritten{1});
  EXPECT_FALSE(running.drive.space_is_wanted());
}

TEST(Drive, taperalgo_chooses_among_the_images_of_the_oldest_run) {
  using Algorithm = config::TaperAlgorithm;
  const auto order = [](Algorithm algorithm, uint64_t volume_kib = 0, int64_t volumes = 1) {
    Night night({.in_parallel = 1, .volumes = volumes, .algorithm = algorithm, .volume_kib = volume_kib});
    // 5 is of an older run; the others, of the next one, have 30, 10, 40 and 20 KiB.
    night.on(Flush{{1, 2, 3, 5, 4}, {30, 10, 40, 7, 20}, {1, 1, 1, 0, 1}});
    std::string ids;
    auto said = night.on(VolumeReady{});
    while (said.size() == 1 && said[0].starts_with("write ")) {
      ids += said[0].back();
      said = night.on(ImageWritten{static_cast<JobId>(said[0].back() - '0')});
    }
    return ids;
  };
  EXPECT_EQ(order(Algorithm::first), "51234");
  EXPECT_EQ(order(Algorithm::last), "54321");
  EXPECT_EQ(order(Algorithm::largest), "53142");
  EXPECT_EQ(order(Algorithm::smallest), "52413");
  EXPECT_EQ(order(Algorithm::largestfit), "53142") << "of a volume nothing is known";
  EXPECT_EQ(order(Algorithm::largestfit, 40), "51243") << "33 KiB are left, then 3, and nothing fits";
  EXPECT_EQ(order(Algorithm::firstfit, 27, 1), "52413")
      << "20 are left, then 10; what does not fit comes last";
  EXPECT_EQ(order(Algorithm::lastfit, 50, 1), "54213");
}

TEST(Drive, a_volume_that_is_begun_is_written_on) {
  Night night({.in_parallel = 1, .volumes = 1, .held_threshold_kib = 50});
  night.on(Schedule{{job(1), job(2), job(3)}});
  EXPECT_THAT(night.on(DumpHeld{1, 60}), testing::Contains("load 1"));
  night.on(VolumeReady{});
  night.on(ImageWritten{1});
  EXPECT_THAT(night.on(DumpHeld{2, 1}), testing::Contains("write 2"));
}

TEST(Drive, each_dumper_takes_what_it_prefers) {
  const auto sized = [](JobId id, uint64_t kib, uint64_t kps, int64_t priority = 1) {
    auto it = job(id);
    it.est_stored_kib = kib;
    it.est_kps = kps;
    it.priority = priority;
    return it;
  };
  // By time: 3 takes 10 s, 1 takes 20 s, 2 takes 60 s, 4 takes 100 s.
  const std::vector<Job> jobs = {sized(1, 200, 10), sized(2, 120, 2), sized(3, 100, 10), sized(4, 300, 3)};
  const auto started = [&](std::string order, std::vector<Job> some, int64_t dumpers = 2) {
    Night night({.in_parallel = dumpers, .volumes = 1, .dump_order = std::move(order)});
    std::string ids;
    for (const auto& line : night.on(Schedule{std::move(some)})) ids += line.substr(6, 1);
    return ids;
  };
  EXPECT_EQ(started("", jobs), "12");
  EXPECT_EQ(started("ss", jobs), "32");
  EXPECT_EQ(started("sS", jobs), "34");
  EXPECT_EQ(started("tT", jobs), "34");
  EXPECT_EQ(started("bB", jobs), "21") << "the first of two equals";
  EXPECT_EQ(started("T", jobs), "43") << "t beyond the end";
  EXPECT_EQ(started("TTT", jobs, 4), "4213");
  EXPECT_EQ(started("x", jobs, 1), "3") << "an unknown letter is s";
  EXPECT_EQ(started("s", {sized(1, 900, 1, 2), sized(2, 1, 1, 1)}, 1), "1") << "of a lower priority";
}

TEST(Drive, a_dumper_that_is_idle_again_keeps_its_preference) {
  Night night({.in_parallel = 2, .volumes = 1, .dump_order = "sS"});
  auto jobs = std::vector{job(1), job(2), job(3), job(4)};
  for (auto& it : jobs) it.est_stored_kib = it.id * 10;
  EXPECT_THAT(night.on(Schedule{jobs}), ElementsAre("start 1#1 holding", "start 4#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{4}), ElementsAre("load 1", "start 3#1 holding"));
}

// Waits for its one dump at a time, so that the others are still to start when the volume is found missing.
std::vector<std::string> degraded_night(int64_t reserve_percent, std::vector<Job> jobs) {
  Night night({.in_parallel = 1, .volumes = 1, .reserve_percent = reserve_percent});
  jobs.insert(jobs.begin(), {job(1), job(99)});  // the second runs while the first asks for a volume
  night.on(Schedule{jobs});
  night.on(DumpHeld{1});
  auto said = night.on(NoVolume{"no tape"});
  std::erase_if(said, [](const std::string& line) {
    return line.starts_with("degraded") || line.starts_with("leave") || line.starts_with("start");
  });
  return said;
}
Job full(JobId id, uint64_t kib, std::optional<uint64_t> incremental) {
  auto it = with_holding(id, Holding::automatic, kib);
  it.full = true;
  if (incremental) it.degraded = {*incremental, 0};
  it.not_degraded = incremental ? "" : "new disk";
  return it;
}

TEST(Drive, without_a_volume_reserve_keeps_holding_disk_for_incrementals) {
  const std::vector<Job> fulls = {full(2, 400, 10), full(3, 300, 10), full(4, 300, {})};
  EXPECT_THAT(degraded_night(0, fulls), IsEmpty());
  EXPECT_THAT(degraded_night(50, fulls),
              ElementsAre("incremental 3", testing::StartsWith("give up 4: there is no volume "
                                                               "(no tape), of 1000 KiB of "
                                                               "holding disk 50% are kept")));
  EXPECT_THAT(degraded_night(100, fulls),
              ElementsAre("incremental 2", "incremental 3", testing::EndsWith("cannot be made: new disk")));
  EXPECT_THAT(degraded_night(100, {job(2), with_holding(3, Holding::required)}), IsEmpty());
}

TEST(Drive, a_degraded_full_takes_the_room_of_its_incremental) {
  Night night({.in_parallel = 1, .volumes = 1, .reserve_percent = 100}, 100);
  night.on(Schedule{{job(1), full(2, 5000, 60)}});
  night.holding.free_kib = 0;
  night.on(DumpHeld{1});
  EXPECT_THAT(night.waits, ElementsAre("1 waits for a volume", "2 waits for the holding disks to have room"));
  night.holding.free_kib = 70;
  EXPECT_THAT(night.on(NoVolume{"no tape"}), ElementsAre("degraded error: no tape", "incremental 2",
                                                         "start 2#1 holding", "leave 1: no tape"));
}

TEST(Drive, limits_hold_dumps_back) {
  struct Case {
    const char* what;
    Limits limits;
    std::vector<Job> jobs;
    std::vector<std::string> started, waits;
  };
  const Case cases[] = {
      {"inparallel",
       {.in_parallel = 2},
       {job(1), job(2), job(3)},
       {"start 1#1 holding", "start 2#1 holding"},
       {"3 waits for another dump to end (inparallel)"}},
      {"inparallel of 0 means 1",
       {.in_parallel = 0},
       {job(1), job(2)},
       {"start 1#1 holding"},
       {"2 waits for another dump to end (inparallel)"}},
      {"maxdumps",
       {.in_parallel = 9},
       {on_host(1, "a", 1), on_host(2, "a", 1), on_host(3, "b", 1)},
       {"start 1#1 holding", "start 3#1 holding"},
       {"2 waits for another dump of its host to end (maxdumps)"}},
      {"spindle",
       {.in_parallel = 9},
       {on_host(1, "a", 9, 1), on_host(2, "a", 9, 1), on_host(3, "a", 9, 2), on_host(4, "b", 9, 1),
        on_host(5, "a", 9)},
       {"start 1#1 holding", "start 3#1 holding", "start 4#1 holding", "start 5#1 holding"},
       {"2 waits for another dump of its spindle to end"}},
      {"space",
       {.in_parallel = 9},
       {with_holding(1, Holding::required, 700), with_holding(2, Holding::required, 400),
        with_holding(3, Holding::required, 300)},
       {"start 1#1 holding", "start 3#1 holding"},
       {"2 waits for the holding disks to have room"}},
  };
  for (const auto& c : cases) {
    Night night(c.limits);
    EXPECT_EQ(night.on(Schedule{c.jobs}), c.started) << c.what;
    EXPECT_EQ(night.waits, c.waits) << c.what;
  }
}

Job over(JobId id, std::string interface, uint64_t est_kps) {
  auto it = job(id);
  it.interface = std::move(interface);
  it.est_kps = est_kps;
  return it;
}

TEST(Drive, an_interface_takes_what_it_has_room_for) {
  struct Case {
    const char* what;
    std::vector<Job> jobs;
    std::vector<std::string> started;
  };
  const Case cases[] = {
      {"three that fit", {over(1, "lan", 300), over(2, "lan", 300), over(3, "lan", 400)}, {"1", "2", "3"}},
      {"the third is too much", {over(1, "lan", 300), over(2, "lan", 300), over(3, "lan", 401)}, {"1", "2"}},
      {"a smaller one goes first",
       {over(1, "lan", 900), over(2, "lan", 300), over(3, "lan", 100)},
       {"1", "3"}},
      {"alone it may exceed the limit", {over(1, "lan", 5000), over(2, "lan", 1)}, {"1"}},
      {"other interfaces do not matter",
       {over(1, "lan", 900), over(2, "wan", 900), over(3, "x", 900)},
       {"1", "2", "3"}},
      {"no history counts as 1024", {over(1, "lan", 1), over(2, "lan", 0), over(3, "lan", 900)}, {"1", "3"}},
  };
  for (const auto& c : cases) {
    Night night({.in_parallel = 9, .interface_kps = {{"lan", 1000}, {"wan", 1000}}}, 10'000);
    std::vector<std::string> wanted;
    for (const auto& id : c.started) wanted.push_back("start " + id + "#1 holding");
    EXPECT_EQ(night.on(Schedule{c.jobs}), wanted) << c.what;
    for (const auto& wait : night.waits)
      EXPECT_NE(wait.find("its interface to have room"), std::string::npos) << wait;
  }
}

TEST(Drive, an_interface_has_room_again_when_a_dump_ends) {
  Night night({.in_parallel = 9, .interface_kps = {{"lan", 1000}}});
  night.on(Schedule{{over(1, "lan", 800), over(2, "lan", 800)}});
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1", "start 2#1 holding"));
}

TEST(Drive, raised_limits_start_more_at_once) {
  Night night({.in_parallel = 1, .interface_kps = {{"lan", 1000}}});
  night.on(Schedule{{over(1, "lan", 900), over(2, "lan", 900), on_host(3, "x", 1), on_host(4, "x", 1)}});
  EXPECT_THAT(night.on(ChangeLimits{.in_parallel = 3}), ElementsAre("start 3#1 holding"));
  EXPECT_THAT(night.waits, ElementsAre("2 waits for its interface to have room for its rate (netusage, use)",
                                       "4 waits for another dump of its host to end (maxdumps)"));
  EXPECT_THAT(night.on(ChangeLimits{.max_dumps = {{"x", 2}}}), ElementsAre("start 4#1 holding"));
  EXPECT_THAT(night.on(ChangeLimits{.in_parallel = 9, .interface_kps = {{"lan", 1800}}}),
              ElementsAre("start 2#1 holding"));
}

TEST(Drive, lowered_limits_stop_nothing_that_runs) {
  Night night({.in_parallel = 3});
  night.on(Schedule{{job(1), job(2), job(3), job(4)}});
  EXPECT_THAT(night.on(ChangeLimits{.in_parallel = 1, .max_dumps = {{"h", 1}}}), IsEmpty());
  EXPECT_EQ(night.drive.running_dumps(), 3U);
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(DumpHeld{2}), IsEmpty());
  EXPECT_THAT(night.on(DumpHeld{3}), ElementsAre("start 4#1 holding"));
}

TEST(Drive, what_is_paused_does_not_start_and_the_run_waits_for_it) {
  Night night;
  auto paused = job(1);
  paused.paused = true;
  EXPECT_THAT(night.on(Schedule{{paused, job(2)}}), ElementsAre("start 2#1 holding"));
  EXPECT_THAT(night.waits, ElementsAre("1 waits for \"headrace resume\": it is paused"));
  night.on(DumpHeld{2});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(ImageWritten{2}), IsEmpty());
  EXPECT_FALSE(night.drive.finished());
  EXPECT_THAT(night.on(Resume{1}), ElementsAre("start 1#1 holding"));
}

TEST(Drive, a_paused_dump_keeps_its_place_and_is_not_tried_again) {
  Night night({.in_parallel = 1});
  night.on(Schedule{{job(1), job(2)}});
  EXPECT_THAT(night.on(Pause{1}), IsEmpty());
  EXPECT_EQ(night.drive.running_dumps(), 1U) << "it still counts as one of those that run";
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .message = "x"}), ElementsAre("start 2#1 holding"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("start 2#2 holding"))
      << "its retry waits for nobody who is paused";
  EXPECT_THAT(night.on(DumpHeld{2}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(Resume{1}), ElementsAre("start 1#2 holding"));
}

TEST(Drive, cancelling_ends_what_is_paused) {
  Night night;
  auto paused = job(1);
  paused.paused = true;
  night.on(Schedule{{paused}});
  EXPECT_THAT(night.on(Cancel{"interrupted"}), ElementsAre("give up 1: interrupted", "finish"));
}

TEST(Drive, a_reason_to_wait_is_told_once) {
  Night night({.in_parallel = 1});
  night.on(Schedule{{job(1), job(2), on_host(3, "x", 1)}});
  EXPECT_EQ(night.waits.size(), 2U);
  night.on(SpaceFreed{});
  EXPECT_THAT(night.waits, IsEmpty());
}

TEST(Drive, a_failed_dump_is_tried_again_after_the_others) {
  Night night({.in_parallel = 1});
  EXPECT_THAT(night.on(Schedule{{job(1), job(2), job(3)}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .message = "tar died"}), ElementsAre("start 2#1 holding"));
  EXPECT_THAT(night.waits, ElementsAre("1 waits for the first tries of the others"));
  EXPECT_THAT(night.on(DumpHeld{2}), ElementsAre("load 1", "start 3#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{3}), ElementsAre("start 1#2 holding"));
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .message = "tar died again"}),
              ElementsAre("give up 1: tar died again"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 2"));
  EXPECT_THAT(night.on(ImageWritten{2}), ElementsAre("write 3"));
  EXPECT_THAT(night.on(ImageWritten{3}), ElementsAre("finish"));
}

TEST(Drive, what_would_fail_again_is_not_tried_again) {
  Night night;
  night.on(Schedule{{job(1)}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::refused, .message = "no such disk"}),
              ElementsAre("give up 1: no such disk", "finish"));
}

TEST(Drive, tries_are_the_jobs_own) {
  auto once = job(1);
  once.tries = 1;
  auto thrice = job(2);
  thrice.tries = 3;
  Night night;
  night.on(Schedule{{once, thrice}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .message = "x"}), ElementsAre("give up 1: x"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("start 2#2 holding"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("start 2#3 holding"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("give up 2: x", "finish"));
}

TEST(Drive, a_dump_with_a_time_waits_for_it) {
  auto late = job(1);
  late.postponed = true;
  Night night;
  EXPECT_THAT(night.on(Schedule{{late}}), IsEmpty());
  EXPECT_THAT(night.waits, ElementsAre("1 waits for its time"));
  EXPECT_THAT(night.on(Released{1}), ElementsAre("start 1#1 holding"));
  // A client that asks to come later does not use up a try.
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::postpone, .message = "busy"}),
              IsEmpty());
  EXPECT_THAT(night.on(Released{1}), ElementsAre("start 1#1 holding"));
}

TEST(Drive, a_client_is_not_waited_for_for_ever) {
  Night night;
  night.on(Schedule{{job(1)}});
  const DumpFailed later{.id = 1, .kind = DumpFailed::Kind::postpone, .message = "busy"};
  std::vector<std::string> last;
  int asked = 0;
  while (!night.drive.finished() && asked < 100) {
    last = night.on(later);
    ++asked;
    if (last.empty()) last = night.on(Released{1});
  }
  EXPECT_EQ(asked, 22);
  EXPECT_THAT(last, ElementsAre("give up 1: busy", "finish"));
}

TEST(Drive, a_dump_that_cannot_be_held_goes_straight_to_the_volume) {
  struct Case {
    const char* what;
    Job job;
    uint64_t holding_kib;
  };
  const Case cases[] = {
      {"never", with_holding(1, Holding::never), 1000},
      {"no holding disk", with_holding(1, Holding::automatic), 0},
      {"too large", with_holding(1, Holding::automatic, 2000), 1000},
  };
  for (const auto& c : cases) {
    Night night({.in_parallel = 4, .volumes = 1}, c.holding_kib);
    EXPECT_THAT(night.on(Schedule{{c.job}}), ElementsAre("load 1")) << c.what;
    EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("start 1#1 volume")) << c.what;
    EXPECT_FALSE(night.drive.will_free_space());
    EXPECT_THAT(night.on(DumpWritten{1}), ElementsAre("finish")) << c.what;
  }
}

TEST(Drive, direct_dumps_take_turns_and_let_held_images_go_first) {
  Night night;
  night.on(Schedule{{with_holding(1, Holding::never), with_holding(2, Holding::never), job(3)}});
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("start 1#1 volume"));
  EXPECT_THAT(night.on(DumpHeld{3}), IsEmpty());
  EXPECT_THAT(night.on(DumpWritten{1}), ElementsAre("write 3"));
  EXPECT_THAT(night.on(ImageWritten{3}), ElementsAre("start 2#1 volume"));
}

TEST(Drive, a_dump_that_outgrew_the_holding_disks_goes_to_the_volume) {
  Night night;
  night.on(Schedule{{job(1)}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::no_space, .message = "full"}),
              ElementsAre("load 1"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("start 1#2 volume"));
}

TEST(Drive, without_volumes_it_may_still_be_held) {
  Night night({.in_parallel = 4, .volumes = 0});
  night.on(Schedule{{job(1)}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::no_space, .message = "full"}),
              ElementsAre("degraded config: no volume is to be used in this run", "start 1#2 holding"));
}

TEST(Drive, a_refused_reservation_is_no_try_and_waits_for_more_room) {
  Night night;
  night.on(Schedule{{job(1), with_holding(2, Holding::required)}});
  EXPECT_THAT(night.on(HoldingRefused{2}), IsEmpty());
  EXPECT_THAT(night.waits, ElementsAre("2 waits for the holding disks to have room"));
  night.holding.free_kib += 1;
  EXPECT_THAT(night.on(SpaceFreed{}), ElementsAre("start 2#1 holding"));
}

TEST(Drive, what_no_room_will_ever_come_for_is_given_up) {
  Night night;
  EXPECT_THAT(night.on(Schedule{{with_holding(1, Holding::required, 2000), job(2)}}),
              ElementsAre("start 2#1 holding"));
  EXPECT_THAT(
      night.on(DumpFailed{.id = 2, .message = "x"}),
      ElementsAre("give up 1: 2000 KiB are expected, but the holding disks have 1000 KiB free of 1000",
                  "start 2#2 holding"))
      << "the retry waited for the first tries, not for ever";
}

TEST(Drive, images_stay_on_holding_disk_when_there_is_no_volume) {
  Night night;
  night.on(Flush{{7}});
  night.on(Schedule{{job(1), with_holding(2, Holding::never)}});
  EXPECT_THAT(night.on(NoVolume{"no acceptable volume"}),
              ElementsAre("degraded error: no acceptable volume", "leave 7: no acceptable volume"));
  EXPECT_THAT(night.on(DumpHeld{1}), testing::Contains("leave 1: no acceptable volume"));
  EXPECT_TRUE(night.drive.finished());
}

TEST(Drive, runtapes_is_never_exceeded) {
  Night night({.in_parallel = 4, .volumes = 2});
  night.on(Flush{{1, 2}});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(VolumeEnded{}), ElementsAre("load 2"));
  EXPECT_THAT(night.on(VolumeReady{}), IsEmpty()) << "the image goes on by itself";
  EXPECT_THAT(night.on(VolumeEnded{}),
              ElementsAre("degraded config: 2 volumes used; runtapes=2 does not allow more", "deny",
                          "leave 2: 2 volumes used; runtapes=2 does not allow more"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "no space left on volume"}),
              ElementsAre("leave 1: 2 volumes used; runtapes=2 does not allow more"));
  EXPECT_THAT(night.on(Schedule{}), ElementsAre("finish"));
}

TEST(Drive, a_full_volume_is_replaced_when_there_is_more_to_write) {
  Night night({.in_parallel = 4, .volumes = 2});
  night.on(Flush{{1}});
  night.on(Schedule{{job(2)}});
  night.on(VolumeReady{});
  night.on(ImageWritten{1});
  EXPECT_THAT(night.on(VolumeEnded{}), IsEmpty());
  EXPECT_THAT(night.on(DumpHeld{2}), ElementsAre("load 2"));
}

TEST(Drive, a_lost_volume_is_replaced_and_the_image_written_again) {
  Night night({.in_parallel = 4, .volumes = 2});
  night.on(Flush{{1}});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "I/O error", .volume_lost = true}),
              ElementsAre("load 2"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "I/O error", .volume_lost = true}),
              ElementsAre("degraded error: the last volume that runtapes=2 allows failed: I/O error",
                          "leave 1: the last volume that runtapes=2 allows failed: I/O error"));
}

TEST(Drive, writing_is_tried_a_limited_number_of_times) {
  Night night;
  night.on(Flush{{1}});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "crc"}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "crc"}), ElementsAre("leave 1: crc"));
}

TEST(Drive, an_unreadable_image_is_left_as_evidence) {
  Night night;
  night.on(Flush{{1}});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "bad chunk", .unreadable = true}),
              ElementsAre("leave 1: bad chunk"));
}

TEST(Drive, cancelling_stops_all_and_finishes_when_all_has_stopped) {
  Night night({.in_parallel = 2});
  night.on(Flush{{7, 8}});
  night.on(VolumeReady{});
  night.on(Schedule{{job(1), job(2), job(3)}});
  EXPECT_THAT(night.on(Cancel{"interrupted"}),
              testing::UnorderedElementsAre("abort dump 1", "abort dump 2", "abort write 7",
                                            "give up 3: interrupted", "leave 8: interrupted"));
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .message = "aborted"}), ElementsAre("give up 1: aborted"));
  EXPECT_THAT(night.on(DumpHeld{2}), ElementsAre("leave 2: interrupted")) << "it was quicker";
  EXPECT_THAT(night.on(ImageFailed{.id = 7, .message = "aborted"}),
              ElementsAre("leave 7: aborted", "finish"));
}

TEST(Drive, cancelling_during_the_plan_finishes) {
  Night night;
  EXPECT_THAT(night.on(Cancel{"interrupted"}), ElementsAre("finish"));
}

TEST(Drive, cancelling_waits_for_the_volume_being_loaded) {
  Night night;
  night.on(Flush{{1}});
  EXPECT_THAT(night.on(Cancel{"interrupted"}), ElementsAre("leave 1: interrupted"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("finish"));
}

TEST(DriveDeathTest, an_event_that_cannot_be_is_a_bug) {
  Night night;
  night.on(Schedule{{job(1)}});
  EXPECT_DEATH(night.on(ImageWritten{1}), "state == state");
  EXPECT_DEATH(night.on(DumpHeld{9}), "jobs_.end");
}

// --- any night
// ----------------------------------------------------------------------------------------------

// A runner that carries out commands and lets a random one of the things under way come to its end. It keeps
// its own books and compares: they share no code with the drive.
class AnyNight {
 public:
  explicit AnyNight(unsigned seed) : random_(seed), drive_(make_limits()) {
    holding_.total_kib = holding_.free_kib = one_in(5) ? 0 : 100 + pick(2000);
    for (unsigned n = pick(4); n > 0; --n) images_.insert(next_++);
    for (unsigned n = pick(14); n > 0; --n) jobs_.emplace(next_, make_job(next_)), ++next_;
  }

  void play() {
    Flush flush;
    for (const JobId id : images_) {
      flush.images.push_back(id);
      expected_.insert(id);
      held_[id] = 0;
    }
    Schedule schedule;
    for (const auto& [id, job] : jobs_) schedule.dumps.push_back(job);
    feed(flush);
    const bool cancels = one_in(6);
    bool scheduled = false;
    for (int step = 0; step < 5000 && !finished_; ++step) {
      if (testing::Test::HasFatalFailure()) return;
      if (!scheduled && (one_in(3) || !something_runs())) {
        scheduled = true;
        for (const auto& [id, job] : jobs_) {
          expected_.insert(id);
          if (job.postponed) postponed_.insert(id);
        }
        feed(schedule);
      } else if (scheduled && !jobs_.empty() && one_in(8)) {
        change_something();
      } else if (cancels && scheduled && one_in(10)) {
        feed(Cancel{"cancelled"});
      } else {
        ASSERT_TRUE(something_runs()) << "it waits for nothing";
        end_something();
      }
    }
    ASSERT_TRUE(finished_);
    EXPECT_EQ(outcomes_, expected_) << "some job has no outcome";
    EXPECT_TRUE(dumping_.empty() && !writing_ && !loading_);
  }

 private:
  Limits make_limits() {
    limits_ = {.in_parallel = static_cast<int64_t>(pick(5)),
               .volumes = static_cast<int64_t>(pick(4)),
               .write_tries = 2,
               .held_threshold_kib = one_in(2) ? pick(900) : 0,
               .scheduled_threshold_kib = one_in(2) ? pick(2000) : 0,
               .flush_kib = one_in(3) ? pick(900) : 0,
               .algorithm = static_cast<config::TaperAlgorithm>(pick(8)),
               .volume_kib = one_in(2) ? pick(900) : 0,
               .reserve_percent = pick(3) * 50,
               .dump_order = one_in(2) ? "sTB" : ""};
    return limits_;
  }
  Job make_job(JobId id) {
    return {.id = id,
            .host = one_in(2) ? "a" : "b",
            .est_stored_kib = pick(700),
            .max_dumps = static_cast<int64_t>(pick(4)),
            .spindle = static_cast<int>(pick(3)) - 1,
            .holding = static_cast<Holding>(pick(3)),
            .tries = static_cast<int64_t>(pick(4)),
            .postponed = one_in(6),
            .interface = one_in(2) ? "lan" : "wan",
            .est_kps = pick(3) * 100,
            .full = one_in(2),
            .degraded = one_in(2) ? std::optional(Job::Incremental{pick(300), pick(3) * 100}) : std::nullopt};
  }
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  bool one_in(unsigned n) { return pick(n) == 0; }
  bool something_runs() const {
    return !dumping_.empty() || writing_ || loading_ || !postponed_.empty() || !paused_.empty();
  }

  // The operator pauses, resumes, raises or lowers.
  void change_something() {
    const JobId id = std::next(jobs_.begin(), pick(static_cast<unsigned>(jobs_.size())))->first;
    if (outcomes_.contains(id)) return;
    if (one_in(2)) {
      limits_.in_parallel = pick(5);
      limits_.interface_kps["lan"] = pick(1500);
      const int64_t most = pick(4);
      for (auto& [other, job] : jobs_)
        if (job.host == "a") job.max_dumps = most;
      return feed(ChangeLimits{limits_.in_parallel, limits_.interface_kps, {{"a", most}}});
    }
    if (paused_.erase(id) > 0) return feed(Resume{id});
    paused_.insert(id);
    feed(Pause{id});
  }

  void feed(const Input& input) {
    for (const auto& command : drive_.on(input, holding_)) {
      ASSERT_FALSE(finished_) << "after FinishRun: " << text(command);
      std::visit([this](const auto& c) { obey(c); }, command);
    }
  }

  void obey(const StartDump& c) {
    const auto& job = jobs_.at(c.id);
    ASSERT_FALSE(outcomes_.contains(c.id));
    ASSERT_FALSE(postponed_.contains(c.id));
    ASSERT_FALSE(paused_.contains(c.id));
    const auto kps_of = [](const Job& it) { return it.est_kps == 0 ? 1024 : it.est_kps; };
    uint64_t kps = 0;
    for (const auto& [id, to] : dumping_)
      if (jobs_.at(id).interface == job.interface) kps += kps_of(jobs_.at(id));
    const auto use = limits_.interface_kps.find(job.interface);
    if (use != limits_.interface_kps.end() && kps > 0)
      ASSERT_LE(static_cast<int64_t>(kps + kps_of(job)), use->second);
    int64_t of_host = 1;
    for (const auto& [id, to] : dumping_) {
      if (jobs_.at(id).host != job.host) continue;
      ++of_host;
      ASSERT_TRUE(job.spindle == -1 || jobs_.at(id).spindle != job.spindle);
    }
    ASSERT_LE(of_host, std::max<int64_t>(job.max_dumps, 1));
    ASSERT_TRUE(dumping_.emplace(c.id, c.to).second);
    ASSERT_LE(static_cast<int64_t>(dumping_.size()), std::max<int64_t>(limits_.in_parallel, 1));
    if (c.to == Destination::volume) {
      ASSERT_NE(job.holding, Holding::required);
      ASSERT_TRUE(loaded_ && !writing_);
      writing_ = c.id;
    } else {
      ASSERT_NE(job.holding, Holding::never);
      ASSERT_LE(job.est_stored_kib, holding_.free_kib);
      holding_.free_kib -= job.est_stored_kib;
    }
  }
  void obey(const WriteImage& c) {
    ASSERT_TRUE(held_.contains(c.id));
    ASSERT_TRUE(loaded_ && !writing_);
    writing_ = c.id;
  }
  void obey(const LoadVolume& c) {
    ASSERT_FALSE(loading_ || loaded_ || degraded_);
    ASSERT_EQ(c.sequence, ++loads_);
    ASSERT_LE(loads_, limits_.volumes);
    loading_ = true;
  }
  void obey(const DenyVolume&) {
    ASSERT_TRUE(writing_ && !loaded_);
    denied_ = true;
  }
  void obey(const Degraded&) {
    ASSERT_FALSE(degraded_);
    degraded_ = true;
  }
  void obey(const TakeDegraded& c) {
    auto& job = jobs_.at(c.id);
    ASSERT_TRUE(degraded_ && job.full && job.degraded);
    ASSERT_FALSE(dumping_.contains(c.id) || held_.contains(c.id) || outcomes_.contains(c.id));
    job.full = false;
    job.est_stored_kib = job.degraded->est_stored_kib;
    job.est_kps = job.degraded->est_kps;
  }
  void obey(const GiveUp& c) {
    ASSERT_TRUE(jobs_.contains(c.id) && !dumping_.contains(c.id) && !held_.contains(c.id));
    ended(c.id);
  }
  void obey(const LeaveOnHolding& c) {
    ASSERT_TRUE(held_.contains(c.id) && writing_ != c.id);
    ended(c.id);
  }
  void obey(const AbortDump& c) { ASSERT_TRUE(dumping_.contains(c.id)); }
  void obey(const AbortWrite& c) { ASSERT_EQ(writing_, c.id); }
  void obey(const NowWaits& c) { ASSERT_FALSE(dumping_.contains(c.id) || writing_ == c.id); }
  void obey(const FinishRun&) { finished_ = true; }

  void ended(JobId id) {
    postponed_.erase(id);
    paused_.erase(id);
    ASSERT_TRUE(outcomes_.insert(id).second) << "a second outcome of " << id;
  }

  void end_something() {
    while (true) {
      switch (pick(6)) {
        case 0:
          if (!loading_) continue;
          loading_ = false;
          loaded_ = !one_in(6);
          return loaded_ ? feed(VolumeReady{}) : feed(NoVolume{"none there"});
        case 1:
          if (postponed_.empty()) continue;
          return release();
        case 2:
          if (!loaded_ || one_in(2)) continue;
          loaded_ = false;
          return feed(VolumeEnded{});
        case 4:
          if (paused_.empty()) continue;
          return feed(Resume{paused_.extract(paused_.begin()).value()});
        case 3:
          if (!writing_ || dumping_.contains(*writing_) || loading_ || (!loaded_ && !denied_)) continue;
          return end_write();
        default:
          if (dumping_.empty()) continue;
          return end_dump();
      }
    }
  }

  void release() {
    const JobId id = *postponed_.begin();
    postponed_.erase(postponed_.begin());
    feed(Released{id});
  }

  void end_write() {
    const JobId id = *writing_;
    writing_.reset();
    if (denied_ || one_in(4)) {
      const bool lost = loaded_ && one_in(2);
      if (lost) loaded_ = false;
      denied_ = false;
      return feed(ImageFailed{.id = id, .message = "x", .volume_lost = lost, .unreadable = one_in(5)});
    }
    holding_.free_kib += held_.at(id);
    held_.erase(id);
    ended(id);
    feed(ImageWritten{id});
  }

  void end_dump() {
    auto it = dumping_.begin();
    std::advance(it, pick(static_cast<unsigned>(dumping_.size())));
    const auto [id, to] = *it;
    const bool direct = to == Destination::volume;
    if (direct && (loading_ || (!loaded_ && !denied_))) return;  // it waits for a volume
    dumping_.erase(it);
    const uint64_t reserved = jobs_.at(id).est_stored_kib;
    if (direct) {
      writing_.reset();
    } else {
      holding_.free_kib += reserved;
    }
    if ((direct && denied_) || one_in(3)) return fail_dump(id, direct);
    if (direct) {
      ended(id);
      return feed(DumpWritten{id});
    }
    const uint64_t kept = std::min<uint64_t>(pick(600), holding_.free_kib);
    holding_.free_kib -= kept;
    held_[id] = kept;
    feed(DumpHeld{id});
  }

  void fail_dump(JobId id, bool direct) {
    using Kind = DumpFailed::Kind;
    if (!direct && one_in(4)) return feed(HoldingRefused{id});
    DumpFailed failed{.id = id, .message = "x"};
    failed.kind = one_in(5) ? Kind::refused : one_in(5) ? Kind::postpone : Kind::failed;
    if (!direct && one_in(4)) failed.kind = Kind::no_space;
    if (direct && loaded_ && one_in(2)) {
      failed.volume_lost = true;
      loaded_ = false;
    }
    if (direct) denied_ = false;
    if (failed.kind == Kind::postpone) postponed_.insert(id);
    feed(failed);
  }

  std::mt19937 random_;
  Limits limits_;
  Drive drive_;
  HoldingView holding_;
  JobId next_ = 1;
  std::set<JobId> images_;
  std::map<JobId, Job> jobs_;
  std::map<JobId, Destination> dumping_;
  std::map<JobId, uint64_t> held_;
  std::set<JobId> postponed_, paused_, outcomes_, expected_;
  std::optional<JobId> writing_;
  int loads_ = 0;
  bool loading_ = false, loaded_ = false, denied_ = false, degraded_ = false, finished_ = false;
};

TEST(DriveProperty, any_night_ends_each_job_once_within_its_limits) {
  for (unsigned seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    AnyNight(seed).play();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace headrace::drive
