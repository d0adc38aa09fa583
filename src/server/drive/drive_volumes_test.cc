// Volumes: when one is begun, what is written to it, and life without one.
#include <algorithm>
#include <optional>

#include "server/drive/drive_bench.h"

namespace headrace::drive {
namespace {

TEST(Drive, a_volume_is_begun_when_enough_is_held_and_expected) {
  PlayedNight night(
      {.in_parallel = 1, .volumes = 2, .held_threshold_kib = 50, .scheduled_threshold_kib = 300});
  night.on(Schedule{{job(1), job(2), job(3)}});  // of 100 KiB each
  EXPECT_THAT(night.on(DumpHeld{1, 40}), ElementsAre("start 2#1 holding")) << "40 KiB are held";
  EXPECT_THAT(night.waits, testing::Contains("1 waits for more to write (flush-threshold-dumped, "
                                             "flush-threshold-scheduled)"));
  EXPECT_THAT(night.on(DumpHeld{2, 100}), ElementsAre("start 3#1 holding")) << "240 KiB are held or expected";
  EXPECT_THAT(night.on(DumpHeld{3, 170}), ElementsAre("load 1")) << "at the end all is flushed";
}

TEST(Drive, at_the_end_taperflush_decides) {
  for (const uint64_t held : {100, 101}) {
    PlayedNight night({.in_parallel = 1, .volumes = 1, .held_threshold_kib = 1000, .flush_kib = 100});
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
  PlayedNight night({.in_parallel = 2, .volumes = 1, .held_threshold_kib = 1000}, 250);
  night.on(Schedule{{job(1), job(2), with_holding(3, Holding::automatic, 200)}});
  night.holding.free_kib = 100;
  EXPECT_THAT(night.on(DumpHeld{1, 50}), ElementsAre("load 1")) << "3 does not fit";

  PlayedNight running({.in_parallel = 2, .volumes = 1, .held_threshold_kib = 1000});
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
    PlayedNight night(
        {.in_parallel = 1, .volumes = volumes, .algorithm = algorithm, .volume_kib = volume_kib});
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
  PlayedNight night({.in_parallel = 1, .volumes = 1, .held_threshold_kib = 50});
  night.on(Schedule{{job(1), job(2), job(3)}});
  EXPECT_THAT(night.on(DumpHeld{1, 60}), testing::Contains("load 1"));
  night.on(VolumeReady{});
  night.on(ImageWritten{1});
  EXPECT_THAT(night.on(DumpHeld{2, 1}), testing::Contains("write 2"));
}

// Waits for its one dump at a time, so that the others are still to start when the volume is found missing.
std::vector<std::string> degraded_night(int64_t reserve_percent, std::vector<Job> jobs) {
  PlayedNight night({.in_parallel = 1, .volumes = 1, .reserve_percent = reserve_percent});
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

// Its client may have recorded it; an incremental would build on what the server does not have.
TEST(Drive, a_full_that_failed_once_does_not_become_an_incremental) {
  PlayedNight night({.in_parallel = 1, .volumes = 1, .reserve_percent = 100});
  night.on(Schedule{{full(2, 300, 10), job(1), job(99)}});
  night.on(DumpFailed{2, DumpFailed::Kind::failed, "a wrong checksum"});
  night.on(DumpHeld{1});
  EXPECT_THAT(
      night.on(NoVolume{"no tape"}),
      testing::Contains(testing::AllOf(testing::StartsWith("give up 2: there is no volume"),
                                       testing::EndsWith("the full that failed (a wrong checksum)"))));
}

TEST(Drive, a_degraded_full_takes_the_room_of_its_incremental) {
  PlayedNight night({.in_parallel = 1, .volumes = 1, .reserve_percent = 100}, 100);
  night.on(Schedule{{job(1), full(2, 5000, 60)}});
  night.holding.free_kib = 0;
  night.on(DumpHeld{1});
  EXPECT_THAT(night.waits, ElementsAre("1 waits for a volume", "2 waits for the holding disks to have room"));
  night.holding.free_kib = 70;
  EXPECT_THAT(night.on(NoVolume{"no tape"}), ElementsAre("degraded error: no tape", "incremental 2",
                                                         "start 2#1 holding", "leave 1: no tape"));
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
    PlayedNight night({.in_parallel = 4, .volumes = 1}, c.holding_kib);
    EXPECT_THAT(night.on(Schedule{{c.job}}), ElementsAre("load 1")) << c.what;
    EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("start 1#1 volume")) << c.what;
    EXPECT_FALSE(night.drive.will_free_space());
    EXPECT_THAT(night.on(DumpWritten{1}), ElementsAre("finish")) << c.what;
  }
}

TEST(Drive, direct_dumps_take_turns_and_let_held_images_go_first) {
  PlayedNight night;
  night.on(Schedule{{with_holding(1, Holding::never), with_holding(2, Holding::never), job(3)}});
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("start 1#1 volume"));
  EXPECT_THAT(night.on(DumpHeld{3}), IsEmpty());
  EXPECT_THAT(night.on(DumpWritten{1}), ElementsAre("write 3"));
  EXPECT_THAT(night.on(ImageWritten{3}), ElementsAre("start 2#1 volume"));
}

TEST(Drive, a_dump_that_outgrew_the_holding_disks_goes_to_the_volume) {
  PlayedNight night;
  night.on(Schedule{{job(1)}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::no_space, .message = "full"}),
              ElementsAre("load 1"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("start 1#2 volume"));
}

TEST(Drive, without_volumes_it_may_still_be_held) {
  PlayedNight night({.in_parallel = 4, .volumes = 0});
  night.on(Schedule{{job(1)}});
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .kind = DumpFailed::Kind::no_space, .message = "full"}),
              ElementsAre("degraded config: no volume is to be used in this run", "start 1#2 holding"));
}

TEST(Drive, images_stay_on_holding_disk_when_there_is_no_volume) {
  PlayedNight night;
  night.on(Flush{{7}});
  night.on(Schedule{{job(1), with_holding(2, Holding::never)}});
  EXPECT_THAT(night.on(NoVolume{"no acceptable volume"}),
              ElementsAre("degraded error: no acceptable volume", "leave 7: no acceptable volume"));
  EXPECT_THAT(night.on(DumpHeld{1}), testing::Contains("leave 1: no acceptable volume"));
  EXPECT_TRUE(night.drive.finished());
}

TEST(Drive, runtapes_is_never_exceeded) {
  PlayedNight night({.in_parallel = 4, .volumes = 2});
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
  PlayedNight night({.in_parallel = 4, .volumes = 2});
  night.on(Flush{{1}});
  night.on(Schedule{{job(2)}});
  night.on(VolumeReady{});
  night.on(ImageWritten{1});
  EXPECT_THAT(night.on(VolumeEnded{}), IsEmpty());
  EXPECT_THAT(night.on(DumpHeld{2}), ElementsAre("load 2"));
}

TEST(Drive, a_lost_volume_is_replaced_and_the_image_written_again) {
  PlayedNight night({.in_parallel = 4, .volumes = 2});
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
  PlayedNight night;
  night.on(Flush{{1}});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "crc"}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "crc"}), ElementsAre("leave 1: crc"));
}

TEST(Drive, an_unreadable_image_is_left_as_evidence) {
  PlayedNight night;
  night.on(Flush{{1}});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "bad chunk", .unreadable = true}),
              ElementsAre("leave 1: bad chunk"));
}

TEST(Drive, no_more_dumps_than_max_dle_by_volume_are_on_a_volume) {
  PlayedNight night({.in_parallel = 1, .volumes = 2, .dumps_on_volume = 2});
  night.on(Flush{{1, 2, 3}});
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("write 2"));
  EXPECT_THAT(night.on(ImageWritten{2}), ElementsAre("end volume", "load 2"));
  night.on(VolumeReady{});
  night.on(Schedule{{with_holding(4, Holding::never), with_holding(5, Holding::never)}});
  EXPECT_THAT(night.on(ImageWritten{3}), ElementsAre("start 4#1 volume"));
  EXPECT_THAT(
      night.on(DumpWritten{4}),
      ElementsAre("end volume",
                  "degraded config: 2 volumes used; runtapes=2 does not allow more, max-dle-by-volume=2 "
                  "ended the last",
                  testing::StartsWith("give up 5: it may not use holding disk"), "finish"));
}

TEST(Drive, with_few_dumps_on_a_volume_further_ones_are_begun_whatever_the_thresholds) {
  PlayedNight night({.in_parallel = 1, .volumes = 3, .dumps_on_volume = 1, .held_threshold_kib = 150});
  night.on(Schedule{{job(1), job(2), job(3)}});
  EXPECT_THAT(night.on(DumpHeld{1, 100}), ElementsAre("start 2#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{2, 100}), ElementsAre("load 1", "start 3#1 holding"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("end volume", "load 2"));
}

TEST(Drive, a_dump_counts_on_each_volume_that_has_a_part_of_it) {
  PlayedNight night({.in_parallel = 1, .volumes = 3, .dumps_on_volume = 2});
  night.on(Flush{{1, 2, 3}});
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(VolumeEnded{}), ElementsAre("load 2"));
  night.on(VolumeReady{});
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("write 2"));
  EXPECT_THAT(night.on(ImageWritten{2}), ElementsAre("end volume", "load 3"));
}

TEST(Drive, holding_disk_may_be_for_degraded_runs_alone) {
  PlayedNight night({.in_parallel = 4, .volumes = 1});
  EXPECT_THAT(night.on(Schedule{{with_holding(1, Holding::when_degraded),
                                 with_holding(2, Holding::when_degraded), job(3)}}),
              ElementsAre("load 1", "start 3#1 holding"));
  EXPECT_THAT(night.waits, ElementsAre("1 waits for a volume", "2 waits for the volume writer"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("start 1#1 volume"));
  EXPECT_THAT(night.on(DumpFailed{.id = 1, .message = "I/O error", .volume_lost = true}),
              ElementsAre("degraded error: the last volume that runtapes=1 allows failed: I/O error",
                          "start 2#1 holding", "start 1#2 holding"));
}

TEST(Drive, a_dump_says_that_holding_disk_is_for_degraded_runs_alone) {
  constexpr HoldingView kRoom{.total_kib = 1000, .free_kib = 1000};
  const auto way = [](const std::vector<Command>& commands) {
    const auto start = std::ranges::find_if(
        commands, [](const Command& it) { return std::holds_alternative<StartDump>(it); });
    return start != commands.end() ? std::optional(std::get<StartDump>(*start).way) : std::nullopt;
  };
  Drive drive({.in_parallel = 4}, {{.volumes = 1}});
  EXPECT_EQ(way(drive.on(Schedule{{with_holding(1, Holding::when_degraded)}}, kRoom)), std::nullopt);
  EXPECT_EQ(way(drive.on(VolumeReady{}, kRoom)), Way::only_when_degraded);
  EXPECT_EQ(way(drive.on(DumpFailed{.id = 1, .message = "I/O error", .volume_lost = true}, kRoom)),
            Way::no_volume);
}

TEST(Drive, what_is_held_only_when_degraded_obeys_reserve_then) {
  auto large = full(1, 900, 10);
  large.holding = Holding::when_degraded;
  PlayedNight night({.in_parallel = 4, .volumes = 1, .reserve_percent = 50});
  EXPECT_THAT(night.on(Schedule{{large}}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(NoVolume{"none"}),
              ElementsAre("degraded error: none", "incremental 1", "start 1#1 holding"));
}

TEST(Drive, that_there_is_no_volume_is_known_before_the_first_dump_starts) {
  PlayedNight night({.in_parallel = 4, .volumes = 1, .reserve_percent = 50});
  EXPECT_THAT(night.on(LookForVolume{}), ElementsAre("find"));
  EXPECT_THAT(night.on(Schedule{{full(1, 400, 10), full(2, 400, 20)}}), IsEmpty());
  EXPECT_THAT(night.waits, ElementsAre("1 waits for a volume", "2 waits for a volume"));
  EXPECT_THAT(night.on(VolumeSought{"the changer is empty"}),
              ElementsAre("degraded error: the changer is empty", "incremental 2", "start 1#1 holding",
                          "start 2#1 holding"));
}

TEST(Drive, while_a_volume_is_looked_for_each_says_what_it_waits_for) {
  PlayedNight night({.in_parallel = 4, .volumes = 1, .reserve_percent = 50});
  night.on(LookForVolume{});
  auto late = job(1);
  late.postponed = true;
  auto paused = job(2);
  paused.paused = true;
  night.on(Schedule{{late, paused, job(3)}});
  EXPECT_THAT(night.waits,
              ElementsAre("1 waits for its time", "2 waits for \"headrace resume\": it is paused",
                          "3 waits for a volume"));
}

TEST(Drive, looking_for_a_volume_loads_none) {
  PlayedNight night({.in_parallel = 4, .volumes = 1, .reserve_percent = 50});
  night.on(LookForVolume{});
  EXPECT_THAT(night.on(VolumeSought{}), IsEmpty());
  EXPECT_THAT(night.on(Schedule{{full(1, 900, 10)}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1"));
}

TEST(Drive, without_reserve_dumps_do_not_wait_for_the_look) {
  PlayedNight night({.in_parallel = 4, .volumes = 1, .reserve_percent = 0});
  night.on(LookForVolume{});
  EXPECT_THAT(night.on(Schedule{{full(1, 900, 10)}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{1}), IsEmpty()) << "the volume is being looked for";
  EXPECT_THAT(night.waits, ElementsAre("1 waits for the volume writer"));
  EXPECT_THAT(night.on(VolumeSought{}), ElementsAre("load 1"));
}

TEST(Drive, a_run_that_writes_nothing_misses_no_volume) {
  PlayedNight none({.volumes = 0, .reserve_percent = 50});
  EXPECT_THAT(none.on(LookForVolume{}), IsEmpty());
  EXPECT_THAT(none.on(Schedule{}), ElementsAre("finish"));

  PlayedNight empty({.volumes = 1, .reserve_percent = 50});
  empty.on(LookForVolume{});
  EXPECT_THAT(empty.on(Schedule{}), IsEmpty()) << "the answer is waited for";
  EXPECT_THAT(empty.on(VolumeSought{"the changer is empty"}), ElementsAre("finish"));
}

}  // namespace
}  // namespace headrace::drive
