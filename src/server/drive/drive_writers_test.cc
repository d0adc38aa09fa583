// Several volumes written at a time.
#include "server/drive/drive_bench.h"

namespace headrace::drive {
namespace {

OneStorage writers(int64_t count, int64_t volumes, uint64_t volume_kib = 1000) {
  return {.in_parallel = 4, .volumes = volumes, .parallel_writes = count, .volume_kib = volume_kib};
}

TEST(DriveWriters, a_further_volume_is_begun_for_what_those_begun_have_no_room_for) {
  PlayedNight night(writers(2, 3));
  EXPECT_THAT(night.on(Flush{{1, 2, 3}, {400, 300, 200}}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 1")) << "one volume takes all";
  EXPECT_THAT(night.waits, ElementsAre("2 waits for the volume writer", "3 waits for the volume writer"));

  PlayedNight large(writers(2, 3));
  EXPECT_THAT(large.on(Flush{{1, 2, 3}, {800, 700, 200}}), ElementsAre("load 1"));
  EXPECT_THAT(large.on(VolumeReady{}), ElementsAre("write 1", "load 2 on 1")) << "200 KiB are left, 900 wait";
  EXPECT_THAT(large.on(VolumeReady{1}), ElementsAre("write 2 on 1"));
  EXPECT_THAT(large.on(ImageWritten{1}), ElementsAre("write 3"));
  large.on(ImageWritten{3});
  large.on(ImageWritten{2});
  EXPECT_THAT(large.on(Schedule{}), ElementsAre("finish"));
}

TEST(DriveWriters, thresholds_count_what_is_beyond_the_room_of_volumes_begun) {
  auto limits = writers(2, 3);
  limits.held_threshold_kib = 300;
  PlayedNight night(limits);
  night.on(Schedule{{job(1), job(2), job(3), job(4)}});
  EXPECT_THAT(night.on(DumpHeld{1, 800}), ElementsAre("load 1"));
  EXPECT_THAT(night.on(VolumeReady{}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(DumpHeld{2, 500}), IsEmpty()) << "300 KiB beyond the room are not more than 300";
  EXPECT_THAT(night.on(DumpHeld{3, 1}), ElementsAre("load 2 on 1"));
}

TEST(DriveWriters, dumps_without_holding_disk_go_to_volumes_at_the_same_time) {
  PlayedNight night(writers(2, 5), 0);
  EXPECT_THAT(night.on(Schedule{{job(1), job(2), job(3)}}), ElementsAre("load 1", "load 2 on 1"));
  EXPECT_THAT(night.on(VolumeReady{1}), ElementsAre("start 1#1 volume on 1"));
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("start 2#1 volume"));
  EXPECT_THAT(night.on(DumpWritten{1}), ElementsAre("start 3#1 volume on 1"));
  EXPECT_THAT(night.on(DumpFailed{.id = 2, .message = "x"}), ElementsAre("start 2#2 volume"));
}

TEST(DriveWriters, held_images_leave_one_writer_to_dumps_that_can_go_nowhere_else) {
  PlayedNight night(writers(2, 2));
  night.on(Flush{{7, 8}, {900, 900}});
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("write 7", "load 2 on 1"));
  EXPECT_THAT(night.on(Schedule{{with_holding(1, Holding::never)}}), IsEmpty());
  EXPECT_THAT(night.on(VolumeReady{1}), ElementsAre("start 1#1 volume on 1"));
  EXPECT_THAT(night.on(DumpWritten{1}), ElementsAre("write 8 on 1"));
}

TEST(DriveWriters, an_image_at_its_volumes_end_takes_over_an_idle_writers) {
  PlayedNight night(writers(2, 2));
  night.on(Flush{{1, 2}, {900, 900}});
  night.on(VolumeReady{0});
  night.on(VolumeReady{1});
  EXPECT_THAT(night.on(ImageWritten{2}), IsEmpty());
  EXPECT_THAT(night.on(VolumeEnded{0}), ElementsAre("hand over 1 to 0"));
  EXPECT_THAT(night.on(VolumeEnded{0}),
              ElementsAre("degraded config: 2 volumes used; runtapes=2 does not allow more", "deny"));
}

TEST(DriveWriters, the_run_is_degraded_when_no_writer_has_a_volume) {
  PlayedNight night(writers(2, 3));
  night.on(Flush{{1, 2, 3}, {900, 900, 10}});
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("write 1", "load 2 on 1"));
  EXPECT_THAT(night.on(NoVolume{"the changer is empty", 1}), IsEmpty()) << "one goes on";
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("write 2")) << "and no further one is looked for";
  EXPECT_THAT(night.on(VolumeEnded{0}),
              ElementsAre("degraded error: the changer is empty", "deny", "leave 3: the changer is empty"));
  EXPECT_THAT(night.on(ImageFailed{.id = 2, .message = "full"}),
              ElementsAre("leave 2: the changer is empty"));
}

TEST(DriveWriters, an_image_without_a_further_volume_goes_to_another_writer_and_no_try_is_counted) {
  auto limits = writers(2, 2);
  limits.write_tries = 1;
  PlayedNight night(limits);
  night.on(Flush{{1, 2}, {900, 900}});
  night.on(VolumeReady{0});
  night.on(VolumeReady{1});
  EXPECT_THAT(night.on(VolumeEnded{0}), ElementsAre("deny"));
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "no volume"}), IsEmpty()) << "it fits nowhere";
  EXPECT_THAT(night.on(ImageWritten{2}), ElementsAre("write 1 on 1"));
}

TEST(DriveWriters, beside_others_an_image_goes_only_where_it_fits) {
  PlayedNight night(writers(2, 2));
  night.on(Flush{{1, 2, 3, 4}, {900, 850, 800, 90}});
  night.on(VolumeReady{0});
  EXPECT_THAT(night.on(VolumeReady{1}), ElementsAre("write 2 on 1"));
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("write 4")) << "100 KiB are left";
  EXPECT_THAT(night.on(ImageWritten{4}), IsEmpty()) << "10 KiB are left";
  EXPECT_THAT(night.on(ImageWritten{2}), ElementsAre("write 3")) << "nobody writes: it may be cut";
}

TEST(DriveWriters, a_further_volume_is_begun_for_dumps_beyond_what_those_begun_take) {
  auto limits = writers(2, 3);
  limits.dumps_on_volume = 2;
  PlayedNight night(limits);
  night.on(Flush{{1, 2, 3, 4}, {1, 1, 1, 1}});
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("write 1", "load 2 on 1")) << "3 wait, one more is taken";
  EXPECT_THAT(night.on(VolumeReady{1}), ElementsAre("write 2 on 1"));
  EXPECT_THAT(night.on(ImageWritten{1}), ElementsAre("write 3"));
  EXPECT_THAT(night.on(ImageWritten{3}), ElementsAre("end volume"));
  EXPECT_THAT(night.on(ImageWritten{2}), ElementsAre("write 4 on 1"));
}

TEST(DriveWriters, a_lost_volume_is_its_writers_alone) {
  PlayedNight night(writers(2, 3));
  night.on(Flush{{1, 2}, {900, 900}});
  night.on(VolumeReady{0});
  night.on(VolumeReady{1});
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "I/O error", .volume_lost = true}),
              ElementsAre("load 3"));
  EXPECT_THAT(night.on(VolumeReady{0}), ElementsAre("write 1"));
  EXPECT_THAT(night.on(ImageFailed{.id = 2, .message = "I/O error", .volume_lost = true}), IsEmpty());
  EXPECT_THAT(night.on(ImageFailed{.id = 1, .message = "I/O error", .volume_lost = true}),
              ElementsAre("degraded error: the last volume that runtapes=3 allows failed: I/O error",
                          "leave 1: the last volume that runtapes=3 allows failed: I/O error",
                          "leave 2: the last volume that runtapes=3 allows failed: I/O error"));
}

TEST(DriveWriters, cancelling_stops_every_writer) {
  PlayedNight night(writers(2, 2));
  night.on(Flush{{1, 2, 3}, {900, 900, 900}});
  night.on(VolumeReady{0});
  night.on(VolumeReady{1});
  EXPECT_THAT(night.on(Cancel{"interrupted"}),
              ElementsAre("abort write 1", "abort write 2", "leave 3: interrupted"));
  EXPECT_THAT(night.on(VolumeEnded{1}), ElementsAre("deny on 1"));
}

}  // namespace
}  // namespace headrace::drive
