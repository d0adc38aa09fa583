#include "server/drive/writers.h"

#include <gtest/gtest.h>

namespace headrace::drive {
namespace {

using Volume = Writers::Volume;

TEST(Writers, AreWithinRuntapes) {
  const auto count = [](int64_t parallel, int64_t volumes) {
    return Writers({.volumes = volumes, .parallel_writes = parallel}).size();
  };
  EXPECT_EQ(count(3, 5), 3U);
  EXPECT_EQ(count(5, 3), 3U);
  EXPECT_EQ(count(0, 3), 1U);
  EXPECT_EQ(count(-1, 0), 1U);
  EXPECT_EQ(count(4, 0), 1U);
}

TEST(Writers, SayWhyThereIsNoFurtherVolume) {
  Writers writers({.volumes = 2, .parallel_writes = 2});
  EXPECT_TRUE(writers.may_load());
  EXPECT_EQ(writers.begin_load(1), 1);
  EXPECT_EQ(writers.begin_load(0), 2);
  EXPECT_FALSE(writers.may_load());
  EXPECT_EQ(writers.why_no_more(), "2 volumes used; runtapes=2 does not allow more");
  EXPECT_EQ(writers.trouble(), journal::VolumeTrouble::config);
  writers.no_more("the changer is empty");
  EXPECT_EQ(writers.why_no_more(), "the changer is empty");
  EXPECT_EQ(writers.trouble(), journal::VolumeTrouble::error);
  EXPECT_EQ(Writers(StorageLimits{.volumes = 0}).why_no_more(), "no volume is to be used in this run");
}

TEST(Writers, KnowTheRoomThatIsLeft) {
  Writers writers({.volumes = 3, .parallel_writes = 2, .volume_kib = 100});
  EXPECT_EQ(writers.room_kib(), 0U);
  writers.begin_load(0);
  EXPECT_EQ(writers.room_kib(), 100U);
  writers.ready(0);
  writers.begin_job(0, 7, 30);
  EXPECT_EQ(writers.of(7), 0U);
  EXPECT_EQ(writers.room_kib(0, false), 70U);
  EXPECT_EQ(writers.room_kib(0, true), 270U);
  writers.end_job(0, true);
  EXPECT_EQ(writers.room_kib(0, false), 70U);
  writers.begin_job(0, 8, 200);
  EXPECT_EQ(writers.room_kib(0, false), 0U);
  writers.end_job(0, false);
  EXPECT_EQ(writers.room_kib(0, false), 70U) << "what failed is not known to have taken room";
  writers.begin_load(1);
  EXPECT_EQ(writers.room_kib(), 170U);
  writers.no_more("none");
  EXPECT_EQ(writers.room_kib(0, true), 70U);
  EXPECT_EQ(Writers(StorageLimits{}).room_kib(0, false), UINT64_MAX);
}

TEST(Writers, AVolumeIsHandedOverWithWhatIsOnIt) {
  Writers writers({.volumes = 3, .parallel_writes = 2, .volume_kib = 100});
  for (const size_t writer : {0U, 1U}) {
    writers.begin_load(writer);
    writers.ready(writer);
  }
  writers.begin_job(1, 5, 40);
  writers.end_job(1, true);
  writers.begin_job(0, 6, 10);
  EXPECT_TRUE(writers.others_write(1));
  EXPECT_FALSE(writers.others_write(0));
  writers.end_volume(0);
  writers.hand_over(1, 0);
  EXPECT_EQ(writers.at(0).volume, Volume::ready);
  EXPECT_EQ(writers.at(1).volume, Volume::none);
  EXPECT_EQ(writers.room_kib(0, false), 50U);
  EXPECT_EQ(writers.idle(Volume::none), 1U);
  EXPECT_FALSE(writers.idle(Volume::ready));
}

}  // namespace
}  // namespace headrace::drive
