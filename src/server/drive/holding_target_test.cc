// A dump's way to the holding disks, with real files and the real accounting.
#include "server/drive/holding_target.h"

#include <gtest/gtest.h>

#include "server/hold/scan.h"
#include "server/hold/test_support.h"
#include "sim/sim_loop.h"

namespace headrace::drive {
namespace {

using base::Result;
using hold::noise;

class HoldingTargetTest : public ::testing::Test {
 protected:
  // A space of so many KiB.
  void size(uint64_t kib, const std::string& name = "") {
    config::HoldingDisk disk;
    disk.name = "hd" + name;
    disk.directory = directory.path() / ("holding" + name);
    disk.use_kib = static_cast<int64_t>(kib);
    disk.chunksize_kib = 0;
    std::filesystem::create_directories(disk.directory);
    configured.push_back(disk);
    space = std::make_unique<HoldingSpace>(configured);
    EXPECT_TRUE(space->disks().measure([](const auto&) { return Result<uint64_t>(1U << 30U); }).empty());
  }
  std::unique_ptr<HoldingTarget> target(uint64_t kib) {
    auto reservation = space->disks().reserve(kib);
    EXPECT_TRUE(reservation);
    if (!reservation) return nullptr;
    return std::make_unique<HoldingTarget>(runner.loop(), *space, std::move(*reservation), hold::kStamp,
                                           [this] {
                                             ++starved;
                                             if (on_starving) on_starving();
                                           });
  }
  static loop::Writable& open(HoldingTarget& it, const std::string& disk = "/srv/data") {
    auto stream = it.open(hold::sample_header(disk));
    EXPECT_TRUE(stream);
    return **stream;
  }
  Result<> finish(HoldingTarget& it, const std::string& disk = "/srv/data") {
    Result<> got = base::fail(base::ErrorKind::gone, "never told");
    auto header = hold::sample_header(disk);
    header.orig_size_kib = 9;
    header.server_crc = {1, 2};
    it.finish(header, [&](Result<> outcome) {
      got = std::move(outcome);
      runner.loop().stop();
    });
    runner.run();
    return got;
  }
  uint64_t free() const { return space->disks().free_kib(); }

  hold::TempDir directory;
  hold::LoopRunner runner;
  std::vector<config::HoldingDisk> configured;
  std::unique_ptr<HoldingSpace> space;
  int starved = 0;
  std::function<void()> on_starving;
};

TEST_F(HoldingTargetTest, TakesWhatItNeedsAndGivesTheRestBack) {
  size(10'000);
  auto it = target(5'000);
  auto& stream = open(*it);
  const std::string data = noise(100 * 1024);
  ASSERT_TRUE(runner.write(stream, data));
  EXPECT_FALSE(std::filesystem::exists(it->file()));
  ASSERT_TRUE(finish(*it));
  const auto image = hold::read_image(it->file());
  ASSERT_TRUE(image) << image.error().what();
  EXPECT_EQ(image->data_bytes, data.size());
  EXPECT_EQ(image->header.orig_size_kib, 9U);
  EXPECT_EQ(image->header.server_crc, (base::CrcAndSize{1, 2}));
  EXPECT_EQ(free(), 10'000U - 132U) << "data and one header";
  auto reservation = it->take_reservation();
  it.reset();
  EXPECT_TRUE(std::filesystem::exists(image->file)) << "the target may go, the image stays";
  space->disks().release(reservation);
  EXPECT_EQ(free(), 10'000U);
}

TEST_F(HoldingTargetTest, GrowsBeyondItsEstimate) {
  size(10'000);
  auto it = target(64);
  ASSERT_TRUE(runner.write(open(*it), noise(3'000'000)));
  ASSERT_TRUE(finish(*it));
  EXPECT_EQ(starved, 0);
  EXPECT_EQ(hold::read_image(it->file())->data_bytes, 3'000'000U);
}

// The next try of a dump has the same name for its file. On virtual time, where each work takes a second.
TEST_F(HoldingTargetTest, TheNextTryWaitsUntilWhatTheFirstLeftIsGone) {
  size(10'000);
  sim::SimLoop loop;
  loop.set_work_duration(std::chrono::seconds(1));
  const auto one_try = [&, lane = loop.new_lane()] {
    return std::make_unique<HoldingTarget>(
        loop, *space, *space->disks().reserve(500), hold::kStamp, [] {}, lane);
  };
  const std::string data = noise(100'000);
  const iovec piece{const_cast<char*>(data.data()), data.size()};
  auto first = one_try();
  auto& stream = open(*first);
  ASSERT_EQ(stream.write({&piece, 1}).state, loop::IoState::wait);
  loop.run_until_idle();
  ASSERT_EQ(stream.write({&piece, 1}).bytes, data.size());
  // The second write has not begun when the try ends; what it leaves is removed a second after the next
  // begins.
  ASSERT_EQ(stream.write({&piece, 1}).state, loop::IoState::wait);
  first->abandon();
  auto next = one_try();
  auto& again = open(*next);
  ASSERT_EQ(again.write({&piece, 1}).state, loop::IoState::wait);
  loop.run_until_idle();
  const auto put = again.write({&piece, 1});
  ASSERT_EQ(put.state, loop::IoState::moved) << again.error().what();
  EXPECT_EQ(put.bytes, data.size());
}

TEST_F(HoldingTargetTest, WaitsForSpaceThatComesFree) {
  size(1'000);
  auto other = target(800);
  auto it = target(64);
  on_starving = [&] {
    EXPECT_TRUE(space->anybody_waits());
    space->settle_waiting(true);
    EXPECT_TRUE(space->anybody_waits()) << "something is going to free space";
    runner.loop().post([&] { other->abandon(); });
  };
  ASSERT_TRUE(runner.write(open(*it), noise(500'000)));
  EXPECT_EQ(starved, 1);
  EXPECT_FALSE(space->anybody_waits());
  ASSERT_TRUE(finish(*it));
  EXPECT_EQ(hold::read_image(it->file())->data_bytes, 500'000U);
}

TEST_F(HoldingTargetTest, IsRefusedWhenNothingFreesAnyAndLeavesNothing) {
  size(300);
  auto it = target(64);
  on_starving = [&] { runner.loop().post([&] { space->settle_waiting(false); }); };
  const auto outcome = runner.write(open(*it), noise(500'000));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), base::ErrorKind::full);
  EXPECT_NE(outcome.error().what().find("autoflush"), std::string::npos) << outcome.error().what();
  EXPECT_FALSE(space->anybody_waits());
  it->abandon();
  EXPECT_EQ(free(), 300U);
  runner.run_until([&] { return hold::tree(directory.path()).empty(); });
}

// The smallest one goes, so that the larger has not been dumped in vain.
TEST_F(HoldingTargetTest, OfTwoThatWaitTheSmallerIsRefused) {
  size(1'000);
  auto large = target(400);
  auto small = target(64);
  auto& to_large = open(*large, "/large");
  auto& to_small = open(*small, "/small");
  ASSERT_TRUE(runner.write(to_large, noise(400 * 1024)));
  ASSERT_TRUE(runner.write(to_small, noise(64 * 1024)));
  auto rest = space->disks().reserve(free() - 96);
  ASSERT_TRUE(rest);
  // Both now want more than there is.
  std::string more = noise(800 * 1024);
  const iovec piece{more.data(), more.size()};
  bool small_failed = false;
  std::function<void()> push_small = [&] {
    const auto put = to_small.write({&piece, 1});
    if (put.state == loop::IoState::wait) return to_small.await_writable([&] { push_small(); });
    if (put.state == loop::IoState::failed) {
      small_failed = true;
      return runner.loop().stop();
    }
    push_small();
  };
  std::function<void()> push_large = [&] {
    const auto put = to_large.write({&piece, 1});
    if (put.state == loop::IoState::wait) return to_large.await_writable([&] { push_large(); });
    if (put.state == loop::IoState::moved) push_large();
  };
  on_starving = [&] {
    if (starved == 2) runner.loop().post([&] { space->settle_waiting(false); });
  };
  push_large();
  push_small();
  runner.run();
  EXPECT_TRUE(small_failed);
  EXPECT_EQ(small->written_bytes() < large->written_bytes(), true);
  EXPECT_TRUE(space->anybody_waits()) << "the large one still hopes";
  large->abandon();
  EXPECT_FALSE(space->anybody_waits());
}

TEST_F(HoldingTargetTest, AbandonedOrDestroyedItIsAsIfItHadNeverBeen) {
  size(1'000);
  for (const bool destroyed : {false, true}) {
    auto it = target(500);
    ASSERT_TRUE(runner.write(open(*it), noise(200'000)));
    EXPECT_LT(free(), 1'000U);
    if (!destroyed) {
      it->abandon();
      it->abandon();
    }
    it.reset();
    EXPECT_EQ(free(), 1'000U);
    runner.run_until([&] { return hold::tree(directory.path()).empty(); });
  }
  auto never_opened = target(500);
  never_opened.reset();
  EXPECT_EQ(free(), 1'000U);
}

// What statvfs promised and write(2) refuses: told by the writer, taken out of the accounting.
TEST_F(HoldingTargetTest, ADiskThatIsFullerThanThought) {
  size(1'000);
  auto it = target(500);
  open(*it);
  it->disk_full(0, 100);
  EXPECT_EQ(free(), 0U);
  EXPECT_EQ(space->disks().total_kib(), 100U);
  it->abandon();
  EXPECT_EQ(free(), 100U);
}

// Unmounted, say.
TEST_F(HoldingTargetTest, ADiskThatFailsIsNotUsedAgain) {
  size(1000);
  size(500, "2");
  const auto it = target(600);
  auto& stream = open(*it);
  ASSERT_TRUE(runner.write(stream, noise(10'000)));
  EXPECT_FALSE(it->disk_failed());
  std::filesystem::remove_all(directory.path() / "holding");
  EXPECT_FALSE(finish(*it));
  it->abandon();
  EXPECT_TRUE(it->disk_failed());
  EXPECT_EQ(free(), 500U) << "the other one is as good as before";
}

}  // namespace
}  // namespace headrace::drive
