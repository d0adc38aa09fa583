// What a run measures of what its dumps share, in virtual time.
#include <map>

#include "journal/rates.h"
#include "server/drive/night_bench.h"
#include "sim/sim_loop.h"
#include "sim/sim_machine.h"
#include "sim/sim_network.h"

namespace headrace::drive {
namespace {

class RunnerTogether : public NightBench {
 protected:
  RunnerTogether() {
    disk_names = {"/a", "/b"};
    holding_use = "100 mbytes";
  }

  journal::Rates night() {
    sim::SimLoop loop;
    sim::SimNetwork network(loop, 1);
    std::map<std::string, sim::SimDisk> disks;
    disks.emplace("/a", sim::SimDisk(1, 20, 300'000));
    disks.emplace("/b", sim::SimDisk(2, 20, 300'000));
    sim::SimMachine machine(loop, disks, {}, 1);
    network.add(kHost, {.bytes_per_second = 100 * 1024},
                [&machine](auto connection) { machine.serve(std::move(connection)); });
    const auto config = configuration();
    Runner runner(loop, network, config, {entries(config)});
    const auto begun = runner.begin();
    EXPECT_TRUE(begun) << begun.error().what();
    bool done = false;
    runner.start({}, [&done](int) { done = true; });
    EXPECT_TRUE(loop.run_until([&done] { return done; }));
    for (const auto& dump : runner.state().dumps)
      EXPECT_EQ(dump.phase, journal::Phase::written) << dump.failure;
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
