// What a run measures of what its dumps share, in virtual time.
#include "journal/rates.h"
#include "server/drive/sim_night_bench.h"

namespace headrace::drive {
namespace {

class RunnerTogether : public SimNightBench {
 protected:
  RunnerTogether() {
    disk_names = {"/a", "/b"};
    holding_use = "100 mbytes";
  }

  journal::Rates night() {
    std::map<std::string, sim::SimDisk> disks;
    disks.emplace("/a", sim::SimDisk(1, 20, 300'000));
    disks.emplace("/b", sim::SimDisk(2, 20, 300'000));
    const auto state = SimNightBench::night(std::move(disks), 100 * 1024);
    for (const auto& dump : state.dumps) EXPECT_EQ(dump.phase, journal::Phase::written) << dump.failure;
    return journal::load_rates(root / "log").value_or(journal::Rates{});
  }
};

TEST_F(RunnerTogether, TheMostThatTwoDumpsBroughtIsKept) {
  const auto rates = night();
  ASSERT_FALSE(rates.together.empty());
  EXPECT_EQ(rates.together.front().host, "");
  const auto of_one = rates.of(kHost, "/a", true)->own_kps;
  // Each has a connection, and as many bytes a second, of its own.
  EXPECT_NEAR(static_cast<double>(rates.together.front().kps), 2.0 * static_cast<double>(of_one),
              0.2 * static_cast<double>(of_one));
}

}  // namespace
}  // namespace headrace::drive
