// What starts when: limits, retries, times, room on holding disk, the end.
#include "server/drive/drive_bench.h"

namespace headrace::drive {
namespace {

TEST(Drive, a_run_with_nothing_to_do_finishes) {
  PlayedNight night;
  EXPECT_THAT(night.on(Schedule{}), ElementsAre("finish"));
  EXPECT_TRUE(night.drive.finished());
  EXPECT_THAT(night.on(SpaceFreed{}), IsEmpty());
}

TEST(Drive, one_dump_goes_to_holding_then_to_a_volume) {
  PlayedNight night;
  EXPECT_THAT(night.on(Schedule{{job(1)}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1"));
  EXPECT_THAT(night.waits, ElementsAre("1 waits for a volume"));
  EXPECT_TRUE(night.drive.will_free_space());
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 1"));
  EXPECT_TRUE(night.drive.will_free_space());
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("finish"));
}

TEST(Drive, dumps_and_flush_overlap_and_the_plan_is_not_waited_for) {
  PlayedNight night;
  EXPECT_THAT(night.on(Flush{{7, 8}}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 7"));
  EXPECT_THAT(night.waits, ElementsAre("8 waits for the volume writer"));
  EXPECT_THAT(night.on(Schedule{{job(1)}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(ImageWritten{7}), ElementsAre("write 8"));
  EXPECT_THAT(night.on(DumpHeld{1}), IsEmpty());
  EXPECT_THAT(night.on(ImageWritten{8}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("finish"));
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
    PlayedNight night({.in_parallel = dumpers, .volumes = 1, .dump_order = std::move(order)});
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
  PlayedNight night({.in_parallel = 2, .volumes = 1, .dump_order = "sS"});
  auto jobs = std::vector{job(1), job(2), job(3), job(4)};
  for (auto& it : jobs) it.est_stored_kib = it.id * 10;
  EXPECT_THAT(night.on(Schedule{jobs}), ElementsAre("start 1#1 holding", "start 4#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{4}), ElementsAre("load 1", "start 3#1 holding"));
}

TEST(Drive, limits_hold_dumps_back) {
  struct Case {
    const char* what;
    OneStorage limits;
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
    PlayedNight night(c.limits);
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
    PlayedNight night({.in_parallel = 9, .interface_kps = {{"lan", 1000}, {"wan", 1000}}}, 10'000);
    std::vector<std::string> wanted;
    for (const auto& id : c.started) wanted.push_back("start " + id + "#1 holding");
    EXPECT_EQ(night.on(Schedule{c.jobs}), wanted) << c.what;
    for (const auto& wait : night.waits)
      EXPECT_NE(wait.find("its interface to have room"), std::string::npos) << wait;
  }
}

TEST(Drive, an_interface_has_room_again_when_a_dump_ends) {
  PlayedNight night({.in_parallel = 9, .interface_kps = {{"lan", 1000}}});
  night.on(Schedule{{over(1, "lan", 800), over(2, "lan", 800)}});
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1", "start 2#1 holding"));
}

TEST(Drive, raised_limits_start_more_at_once) {
  PlayedNight night({.in_parallel = 1, .interface_kps = {{"lan", 1000}}});
  night.on(Schedule{{over(1, "lan", 900), over(2, "lan", 900), on_host(3, "x", 1), on_host(4, "x", 1)}});
  EXPECT_THAT(night.on(ChangeLimits{.in_parallel = 3}), ElementsAre("start 3#1 holding"));
  EXPECT_THAT(night.waits, ElementsAre("2 waits for its interface to have room for its rate (netusage, use)",
                                       "4 waits for another dump of its host to end (maxdumps)"));
  EXPECT_THAT(night.on(ChangeLimits{.max_dumps = {{"x", 2}}}), ElementsAre("start 4#1 holding"));
  EXPECT_THAT(night.on(ChangeLimits{.in_parallel = 9, .interface_kps = {{"lan", 1800}}}),
              ElementsAre("start 2#1 holding"));
}

TEST(Drive, lowered_limits_stop_nothing_that_runs) {
  PlayedNight night({.in_parallel = 3});
  night.on(Schedule{{job(1), job(2), job(3), job(4)}});
  EXPECT_THAT(night.on(ChangeLimits{.in_parallel = 1, .max_dumps = {{"h", 1}}}), IsEmpty());
  EXPECT_EQ(night.drive.running_dumps(), 3U);
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(DumpHeld{2}), IsEmpty());
  EXPECT_THAT(night.on(DumpHeld{3}), ElementsAre("start 4#1 holding"));
}

TEST(Drive, what_is_paused_does_not_start_and_the_run_waits_for_it) {
  PlayedNight night;
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
  PlayedNight night({.in_parallel = 1});
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
  PlayedNight night;
  auto paused = job(1);
  paused.paused = true;
  night.on(Schedule{{paused}});
  EXPECT_THAT(night.on(Cancel{"interrupted"}), ElementsAre("give up 1: interrupted", "finish"));
}

TEST(Drive, a_reason_to_wait_is_told_once) {
  PlayedNight night({.in_parallel = 1});
  night.on(Schedule{{job(1), job(2), on_host(3, "x", 1)}});
  EXPECT_EQ(night.waits.size(), 2U);
  night.on(SpaceFreed{});
  EXPECT_THAT(night.waits, IsEmpty());
}

TEST(Drive, a_failed_dump_is_tried_again_after_the_others) {
  PlayedNight night({.in_parallel = 1});
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
  PlayedNight night;
  night.on(Schedule{{job(1)}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::refused, .message = "no such disk"}),
              ElementsAre("give up 1: no such disk", "finish"));
}

TEST(Drive, tries_are_the_jobs_own) {
  auto once = job(1);
  once.tries = 1;
  auto thrice = job(2);
  thrice.tries = 3;
  PlayedNight night;
  night.on(Schedule{{once, thrice}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .message = "x"}), ElementsAre("give up 1: x"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("start 2#2 holding"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("start 2#3 holding"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("give up 2: x", "finish"));
}

TEST(Drive, a_dump_with_a_time_waits_for_it) {
  auto late = job(1);
  late.postponed = true;
  PlayedNight night;
  EXPECT_THAT(night.on(Schedule{{late}}), IsEmpty());
  EXPECT_THAT(night.waits, ElementsAre("1 waits for its time"));
  EXPECT_THAT(night.on(Released{1}), ElementsAre("start 1#1 holding"));
  // A client that asks to come later does not use up a try.
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::postpone, .message = "busy"}),
              IsEmpty());
  EXPECT_THAT(night.on(Released{1}), ElementsAre("start 1#1 holding"));
}

TEST(Drive, a_client_is_not_waited_for_for_ever) {
  PlayedNight night;
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

TEST(Drive, a_refused_reservation_is_no_try_and_waits_for_more_room) {
  PlayedNight night;
  night.on(Schedule{{job(1), with_holding(2, Holding::required)}});
  EXPECT_THAT(night.on(HoldingRefused{2}), IsEmpty());
  EXPECT_THAT(night.waits, ElementsAre("2 waits for the holding disks to have room"));
  night.holding.free_kib += 1;
  EXPECT_THAT(night.on(SpaceFreed{}), ElementsAre("start 2#1 holding"));
}

TEST(Drive, what_no_room_will_ever_come_for_is_given_up) {
  PlayedNight night;
  EXPECT_THAT(night.on(Schedule{{with_holding(1, Holding::required, 2000), job(2)}}),
              ElementsAre("start 2#1 holding"));
  EXPECT_THAT(
      night.on(DumpFailed{.id = 2, .message = "x"}),
      ElementsAre("give up 1: 2000 KiB are expected, but the holding disks have 1000 KiB free of 1000",
                  "start 2#2 holding"))
      << "the retry waited for the first tries, not for ever";
}

TEST(Drive, cancelling_stops_all_and_finishes_when_all_has_stopped) {
  PlayedNight night({.in_parallel = 2});
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
  PlayedNight night;
  EXPECT_THAT(night.on(Cancel{"interrupted"}), ElementsAre("finish"));
}

TEST(Drive, cancelling_waits_for_the_volume_being_loaded) {
  PlayedNight night;
  night.on(Flush{{1}});
  EXPECT_THAT(night.on(Cancel{"interrupted"}), ElementsAre("leave 1: interrupted"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("finish"));
}

TEST(DriveDeathTest, an_event_that_cannot_be_is_a_bug) {
  PlayedNight night;
  night.on(Schedule{{job(1)}});
  EXPECT_DEATH(night.on(ImageWritten{1}), "state == state");
  EXPECT_DEATH(night.on(DumpHeld{9}), "jobs_.end");
}

TEST(Drive, to_finish_soonest_the_longest_starts_first) {
  auto limits = OneStorage{.in_parallel = 1, .volumes = 1};
  limits.finish_soonest = true;
  auto small = job(1);
  auto slow = job(2);
  slow.own_kps = 1;
  PlayedNight night(limits);
  EXPECT_THAT(night.on(Schedule{{small, slow}}), ElementsAre("start 2#1 holding"));
  EXPECT_THAT(night.waits, ElementsAre("1 waits for another dump to end (inparallel)"));
}

TEST(Drive, what_ran_when_the_order_was_made_can_start_again) {
  auto limits = OneStorage{.in_parallel = 4, .volumes = 0};
  limits.finish_soonest = true;
  limits.together = {.kps = 1000};
  std::vector<Job> jobs{on_host(1, "a", 1)};
  for (JobId id = 2; id <= 11; ++id) jobs.push_back(on_host(id, "b", 1));
  for (auto& it : jobs) {
    it.own_kps = 1;
    it.est_stored_kib = 10;
  }
  PlayedNight night(limits);
  EXPECT_THAT(night.on(Schedule{jobs}),
              testing::UnorderedElementsAre("start 1#1 holding", "start 2#1 holding"));
  // When half of them are left an order is made anew, without the first.
  for (JobId id = 2; id <= 6; ++id)
    EXPECT_THAT(night.on(DumpHeld{id}), testing::Contains(fmt::format("start {}#1 holding", id + 1)));
  night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::postpone});
  EXPECT_THAT(night.on(Released{1}), ElementsAre("start 1#1 holding"));
}

TEST(Drive, a_dumporder_that_is_configured_is_kept_to) {
  auto limits = OneStorage{.in_parallel = 1, .volumes = 1, .dump_order = "t"};
  limits.finish_soonest = true;
  auto small = job(1);
  auto slow = job(2);
  slow.est_kps = slow.own_kps = 1;
  PlayedNight night(limits);
  EXPECT_THAT(night.on(Schedule{{slow, small}}), ElementsAre("start 1#1 holding"));
}

}  // namespace
}  // namespace headrace::drive
