#include "server/hold/holding_disks.h"

#include <gtest/gtest.h>

#include <random>

#include "server/hold/test_support.h"

namespace headrace::hold {
namespace {

config::HoldingDisk disk(const std::string& name, int64_t use_kib, int64_t chunk_kib) {
  config::HoldingDisk d;
  d.name = name;
  d.directory = "/hold/" + name;
  d.use_kib = use_kib;
  d.chunksize_kib = chunk_kib;
  return d;
}

// Free KiB by the last letter of the directory.
FreeSpace free_space(std::map<std::string, uint64_t> free_kib) {
  return [free_kib](const std::filesystem::path& directory) -> base::Result<uint64_t> {
    const auto found = free_kib.find(directory.filename());
    if (found == free_kib.end()) return base::fail(base::ErrorKind::refused, "no such disk");
    return found->second;
  };
}

TEST(UsableKib, FollowsTheUseParameter) {
  EXPECT_EQ(usable_kib(0, 1000), 1000U);
  EXPECT_EQ(usable_kib(400, 1000), 400U);
  EXPECT_EQ(usable_kib(4000, 1000), 1000U);
  EXPECT_EQ(usable_kib(-400, 1000), 600U);
  EXPECT_EQ(usable_kib(-4000, 1000), 0U);
  EXPECT_EQ(usable_kib(INT64_MIN, 1000), 0U);
}

TEST(Requests, AreRoundedAndCarryHeaders) {
  EXPECT_EQ(rounded_request_kib(0), 64U);
  EXPECT_EQ(rounded_request_kib(65), 96U);
  EXPECT_EQ(rounded_request_kib(96), 96U);
  EXPECT_EQ(header_kib(100, 0), 32U);
  EXPECT_EQ(header_kib(1024, 1024), 64U);
  EXPECT_EQ(header_kib(992, 1024), 32U);
}

TEST(HoldingDisks, ADiskThatCannotBeUsedHasNoRoom) {
  HoldingDisks disks({disk("a", 0, 0), disk("b", 0, 0)});
  const auto faults = disks.measure(free_space({{"a", 1000}}));
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NE(faults[0].find("'b'"), std::string::npos);
  EXPECT_EQ(disks.total_kib(), 1000U);
}

TEST(HoldingDisks, TakesTheDiskWithFewestWritersThenMostRoom) {
  HoldingDisks disks({disk("a", 0, 0), disk("b", 0, 0)});
  disks.measure(free_space({{"a", 1000}, {"b", 2000}}));
  const auto first = disks.reserve(100);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->pieces, (std::vector<Piece>{{1, 160}}));
  const auto second = disks.reserve(100);
  EXPECT_EQ(second->pieces, (std::vector<Piece>{{0, 160}}));
}

TEST(HoldingDisks, SpreadsOverDisksAndCountsAHeaderForEachChunk) {
  HoldingDisks disks({disk("a", 0, 128), disk("b", 0, 128)});
  disks.measure(free_space({{"a", 256}, {"b", 256}}));
  const auto all = disks.reserve(288);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->pieces, (std::vector<Piece>{{0, 256}, {1, 128}}));
  EXPECT_EQ(disks.free_kib(), 128U);
}

TEST(HoldingDisks, GivesAllOrNothing) {
  HoldingDisks disks({disk("a", 0, 0), disk("b", 0, 0)});
  disks.measure(free_space({{"a", 200}, {"b", 200}}));
  EXPECT_FALSE(disks.reserve(400));
  EXPECT_EQ(disks.free_kib(), 400U);
  EXPECT_EQ(disks.disks()[0].active, 0);
}

TEST(HoldingDisks, ExtendsOnTheDiskInUseFirst) {
  HoldingDisks disks({disk("a", 0, 0), disk("b", 0, 0)});
  disks.measure(free_space({{"a", 300}, {"b", 1000}}));
  auto reservation = disks.reserve(64);
  ASSERT_EQ(reservation->pieces[0].disk, 1U);
  ASSERT_TRUE(disks.extend(*reservation, 64));
  EXPECT_EQ(reservation->pieces, (std::vector<Piece>{{1, 192}}));
  EXPECT_EQ(disks.disks()[1].active, 1);
  ASSERT_TRUE(disks.extend(*reservation, 800));
  EXPECT_EQ(reservation->pieces.back().disk, 0U);
  EXPECT_EQ(disks.disks()[0].active, 1);
  EXPECT_FALSE(disks.extend(*reservation, 1000));
}

TEST(HoldingDisks, ADiskFullInRealityIsUsedNoMoreUntilSomethingIsFreed) {
  HoldingDisks disks({disk("a", 0, 0)});
  disks.measure(free_space({{"a", 10000}}));
  auto reservation = disks.reserve(1000);
  auto other = disks.reserve(500);
  disks.no_room(*reservation, 0, 200);
  EXPECT_EQ(reservation->pieces[0].kib, 200U);
  EXPECT_EQ(disks.free_kib(), 0U);
  EXPECT_FALSE(disks.reserve(64));
  disks.release(*other);
  EXPECT_TRUE(disks.reserve(64));
}

TEST(HoldingDisks, SettlesForWhatTheFilesTake) {
  HoldingDisks disks({disk("a", 0, 0)});
  disks.measure(free_space({{"a", 1000}}));
  auto reservation = disks.reserve(500);
  disks.settle(*reservation, {{0, 100}});
  EXPECT_EQ(disks.free_kib(), 900U);
  EXPECT_EQ(disks.disks()[0].active, 0);
  disks.release(*reservation);
  EXPECT_EQ(disks.free_kib(), 1000U);
}

TEST(HoldingDisks, AnOlderImageFreesRoomWithinTheUseParameter) {
  HoldingDisks disks({disk("a", 1000, 0), disk("b", 0, 0)});
  disks.measure(free_space({{"a", 900}, {"b", 500}}));
  disks.freed("/hold/a/20261123013208/x", 500);
  disks.freed("/hold/b/20261123013208/x", 500);
  disks.freed("/elsewhere/x", 500);
  EXPECT_EQ(disks.disks()[0].size_kib, 1000U);
  EXPECT_EQ(disks.disks()[1].size_kib, 1000U);
}

TEST(HoldingDisks, SpaceReturnsToZeroWhateverHappened) {
  std::mt19937 random(11);
  HoldingDisks disks({disk("a", 0, 64), disk("b", 3000, 0), disk("c", 0, 1024)});
  disks.measure(free_space({{"a", 5000}, {"b", 9000}, {"c", 7000}}));
  std::vector<Reservation> held;
  for (int step = 0; step < 5000; ++step) {
    const auto dice = random() % 5;
    if (dice < 2 || held.empty()) {
      if (auto made = disks.reserve(random() % 1500)) held.push_back(*made);
    } else {
      auto& chosen = held[random() % held.size()];
      if (dice == 2 && chosen.active) {
        disks.extend(chosen, random() % 300);
      } else if (dice == 3) {
        auto smaller = chosen.pieces;
        for (Piece& piece : smaller) piece.kib /= 2;
        disks.settle(chosen, smaller);
      } else {
        disks.release(chosen);
        std::swap(chosen, held.back());
        held.pop_back();
      }
    }
    for (const auto& d : disks.disks()) ASSERT_LE(d.reserved_kib, d.size_kib);
  }
  for (auto& reservation : held) disks.release(reservation);
  for (const auto& d : disks.disks()) {
    EXPECT_EQ(d.reserved_kib, 0U);
    EXPECT_EQ(d.active, 0);
  }
}

TEST(StatvfsFreeKib, SaysWhyADirectoryCannotBeUsed) {
  const TempDir dir;
  EXPECT_GT(statvfs_free_kib(dir.path()).value(), 0U);
  const auto missing = statvfs_free_kib(dir / "nowhere");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().what().find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace headrace::hold
