#include "sim/sim_machine.h"

#include <gtest/gtest.h>

namespace headrace::sim {
namespace {

TEST(SimDisk, WhatIsCompressedComesBack) {
  const std::string archive = SimDisk(7, 20, 3000).archive(0);
  const std::string stored = SimDisk::gzip(archive);
  EXPECT_NE(stored, archive);
  EXPECT_EQ(stored, SimDisk::gzip(archive)) << "no date in it";
  EXPECT_EQ(SimDisk::gunzip(stored), archive);
}

TEST(SimDisk, WhatIsDamagedDoesNotComeBack) {
  const std::string stored = SimDisk::gzip(SimDisk(7, 20, 3000).archive(0));
  EXPECT_EQ(SimDisk::gunzip(stored.substr(0, stored.size() / 2)), std::nullopt);
  EXPECT_EQ(SimDisk::gunzip(stored + "more"), std::nullopt);
  std::string wrong = stored;
  wrong[stored.size() / 2] ^= 1;
  EXPECT_EQ(SimDisk::gunzip(wrong), std::nullopt);
  EXPECT_EQ(SimDisk::gunzip("1\n1 1 1\nx"), std::nullopt);
  EXPECT_EQ(SimDisk::gunzip(""), std::nullopt);
}

}  // namespace
}  // namespace headrace::sim
