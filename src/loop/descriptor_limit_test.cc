#include "loop/descriptor_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

namespace headrace::loop {
namespace {

TEST(DescriptorLimit, IsRaisedAsFarAsAllowedAndNeverLowered) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 256;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const uint64_t most = std::min<uint64_t>(before.rlim_max, kMostDescriptors);
  EXPECT_EQ(raise_descriptor_limit(), most);
  EXPECT_EQ(raise_descriptor_limit(), most);
  rlimit now{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
  EXPECT_EQ(now.rlim_cur, most);
  EXPECT_EQ(now.rlim_max, before.rlim_max);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace headrace::loop
