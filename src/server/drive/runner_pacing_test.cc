// A run whose drive needs more than its holding disk gives while dumps write there, in virtual time.
#include "server/drive/sim_night_bench.h"

namespace headrace::drive {
namespace {

class RunnerPacing : public SimNightBench {
 protected:
  RunnerPacing() {
    disk_names = {"/short", "/long"};
    holding_use = "100 mbytes";
  }

  // /short is written to its volume while /long still comes in.
  journal::RunState night() {
    std::map<std::string, sim::SimDisk> disks;
    disks.emplace("/short", sim::SimDisk(2, 20, 100'000));
    disks.emplace("/long", sim::SimDisk(1, 20, 500'000));
    return SimNightBench::night(std::move(disks), 200'000, std::chrono::milliseconds(100),
                                [this](const journal::Body& body) {
                                  if (const auto* waiting = std::get_if<journal::Waiting>(&body);
                                      waiting && waiting->code == "pacing")
                                    held_back.push_back(*waiting);
                                });
  }

  std::vector<journal::Waiting> held_back;
};

TEST_F(RunnerPacing, WithoutALowestSpeedNobodyIsHeldBack) {
  const auto state = night();
  EXPECT_TRUE(held_back.empty());
  for (const auto& dump : state.dumps) EXPECT_EQ(dump.phase, journal::Phase::written) << dump.failure;
}

TEST_F(RunnerPacing, ADumpIsHeldBackForTheDriveAndLosesNothing) {
  globals = "property \"headrace-lowest-speed\" \"900 mbps\"";
  const auto state = night();
  ASSERT_FALSE(held_back.empty());
  EXPECT_EQ(held_back[0].image.disk, "/long");
  EXPECT_NE(held_back[0].reason.find("headrace-lowest-speed"), std::string::npos);
  ASSERT_EQ(held_back[0].parameters.size(), 1U);
  EXPECT_EQ(held_back[0].parameters[0].value, "921600 KiB/s");
  for (const auto& dump : state.dumps) {
    EXPECT_EQ(dump.phase, journal::Phase::written) << dump.failure;
    EXPECT_EQ(dump.attempts.size(), 1U);
  }
}

}  // namespace
}  // namespace headrace::drive
