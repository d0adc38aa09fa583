// A run that writes to several storages.
#include "server/drive/drive_bench.h"

namespace headrace::drive {
namespace {

// Two storages with a writer each, 0 and 1.
PlayedNight two(const Limits& limits = {.in_parallel = 4}, const StorageLimits& a = {.name = "a"},
                const StorageLimits& b = {.name = "b"}, uint64_t holding_kib = 1000) {
  return PlayedNight(limits, {a, b}, holding_kib);
}
Job to_both(JobId id) {
  auto it = job(id);
  it.storages = {0, 1};
  return it;
}
Flush image_for(const Storages& storages) { return {{1}, {100}, {0}, {storages}}; }

TEST(DriveStorages, an_image_goes_to_each_storage_and_ends_with_the_last) {
  auto night = two();
  EXPECT_THAT(night.on(image_for({0, 1})), ElementsAre("load 1", "load 1 on 1"));
  EXPECT_THAT(night.on(Schedule{}), IsEmpty());
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(VolumeReady{1}), ElementsAre("write 1 on 1"));
  EXPECT_TRUE(night.drive.will_free_space());
  EXPECT_THAT(night.on(ImageWritten{1, 1}), IsEmpty()) << "storage a has it not yet";
  EXPECT_THAT(night.on(ImageWritten{1, 0}), ElementsAre("finish"));
}

TEST(DriveStorages, only_those_that_select_a_dump_get_it) {
  auto night = two();
  auto second = job(2);
  second.storages = {1};
  (void)night.on(Schedule{{job(1), second}});
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(DumpHeld{2}), ElementsAre("load 1 on 1"));
  EXPECT_THAT(night.on(VolumeReady{1}), ElementsAre("write 2 on 1"));
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("write 1"));
}

TEST(DriveStorages, an_image_that_no_storage_selects_stays_on_holding_disk) {
  auto night = two();
  auto nobodys = job(1);
  nobodys.storages = {};
  EXPECT_THAT(night.on(Schedule{{nobodys}}), ElementsAre("start 1#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{1}),
              ElementsAre("leave 1: no storage selects it (dump-selection)", "finish"));
}

TEST(DriveStorages, without_holding_disk_a_dump_that_no_storage_selects_fails_by_name) {
  auto night = two({.in_parallel = 4}, {.name = "a"}, {.name = "b"}, 0);
  auto nobodys = job(1);
  nobodys.storages = {};
  EXPECT_THAT(night.on(Schedule{{nobodys}}),
              ElementsAre("give up 1: The tags matches none of the active storage", "finish"));
  auto never = with_holding(1, Holding::never);
  never.storages = {};
  EXPECT_THAT(two().on(Schedule{{never}}),
              ElementsAre("give up 1: The tags matches none of the active storage", "finish"));
}

TEST(DriveStorages, a_direct_dump_goes_to_the_first_that_can_take_it) {
  auto night = two();
  auto direct = with_holding(1, Holding::never);
  auto other = with_holding(2, Holding::never);
  direct.storages = other.storages = {0, 1};
  EXPECT_THAT(night.on(Schedule{{direct, other}}), ElementsAre("load 1", "load 1 on 1"));
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("start 1#1 volume"));
  EXPECT_THAT(night.on(VolumeReady{1}), ElementsAre("start 2#1 volume on 1")) << "a has no idle writer";
  EXPECT_THAT(night.on(DumpWritten{1}), IsEmpty());
  EXPECT_THAT(night.on(DumpWritten{2}), ElementsAre("finish")) << "nobody else gets them";
}

TEST(DriveStorages, each_is_degraded_by_itself) {
  auto night = two();
  (void)night.on(image_for({0, 1}));
  EXPECT_THAT(night.on(NoVolume{"empty shelf", 1}),
              ElementsAre("degraded error: empty shelf", "leave 1: empty shelf"));
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("write 1"));
  EXPECT_FALSE(night.drive.will_free_space()) << "b is still to get it";
  EXPECT_THAT(night.on(ImageWritten{1, 0}), IsEmpty());
  auto direct = with_holding(2, Holding::never);
  direct.storages = {0, 1};
  EXPECT_THAT(night.on(Schedule{{direct}}), ElementsAre("start 2#1 volume")) << "a has a volume";
}

TEST(DriveStorages, a_full_that_selects_a_degraded_one_keeps_to_reserve) {
  auto night = two({.in_parallel = 4, .reserve_percent = 100});
  EXPECT_THAT(night.on(LookForVolume{}), ElementsAre("find", "find"));
  auto full = to_both(1);
  full.full = true;
  full.degraded = Job::Incremental{.est_stored_kib = 10, .storages = {0}};
  auto only_a = job(2);
  only_a.full = true;
  EXPECT_THAT(night.on(Schedule{{full, only_a}}), IsEmpty());
  EXPECT_THAT(night.on(VolumeSought{"", 0}), IsEmpty());
  EXPECT_THAT(
      night.on(VolumeSought{"empty shelf", 1}),
      ElementsAre("degraded error: empty shelf", "incremental 1", "start 1#1 holding", "start 2#1 holding"));
  EXPECT_THAT(night.on(DumpHeld{1}), ElementsAre("load 1")) << "the incremental is for a alone";
}

TEST(DriveStorages, what_fails_on_one_is_written_to_the_other) {
  auto night = two({.in_parallel = 4, .write_tries = 2});
  (void)night.on(image_for({0, 1}));
  (void)night.on(Schedule{});
  (void)night.on(VolumeReady{0});
  (void)night.on(VolumeReady{1});
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "x", .storage = 0}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "x", .storage = 0}), ElementsAre("leave 1: x"))
      << "tries are counted by storage";
  EXPECT_THAT(night.on(ImageWritten{1, 1}), ElementsAre("finish"));
}

TEST(DriveStorages, thresholds_of_each_count_what_it_gets) {
  auto night = two({.in_parallel = 4}, {.name = "a", .held_threshold_kib = 150},
                   {.name = "b", .held_threshold_kib = 50});
  (void)night.on(Schedule{{to_both(1), job(2)}});
  EXPECT_THAT(night.on(DumpHeld{1, 100}), ElementsAre("load 1 on 1"));
  EXPECT_THAT(night.waits,
              ElementsAre("1 waits for more to write (flush-threshold-dumped, flush-threshold-scheduled)",
                          "1 waits for a volume"));
  EXPECT_THAT(night.on(DumpHeld{2, 100}), ElementsAre("load 1")) << "now 200 KiB wait for a";
}

TEST(DriveStorages, cancelling_stops_the_writing_to_each) {
  auto night = two();
  (void)night.on(image_for({0, 1}));
  (void)night.on(VolumeReady{0});
  (void)night.on(VolumeReady{1});
  EXPECT_THAT(night.on(Cancel{"enough"}), ElementsAre("abort write 1", "abort write 1"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "enough", .storage = 1}),
              ElementsAre("leave 1: enough"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "enough", .storage = 0}),
              ElementsAre("leave 1: enough", "finish"));
}

// Found by the nights of drive_any_night_test: an image held back by its storage's thresholds for a dump that
// waits, behind another, for a storage without volumes.
TEST(DriveStorages, thresholds_of_one_do_not_hold_up_what_waits_for_another) {
  auto night = two({.in_parallel = 4}, {.name = "a", .volumes = 0}, {.name = "b", .held_threshold_kib = 500});
  (void)night.on(image_for({1}));
  auto hopeless = with_holding(2, Holding::never);
  hopeless.storages = {0};
  auto postponed = job(3);
  postponed.storages = {1};
  postponed.postponed = true;
  EXPECT_THAT(
      night.on(Schedule{{hopeless, postponed}}),
      ElementsAre("degraded config: no volume is to be used in this run",
                  "give up 2: it may not use holding disk and there is no volume: storage a: no volume is "
                  "to be used in this run"));
}

}  // namespace
}  // namespace headrace::drive
