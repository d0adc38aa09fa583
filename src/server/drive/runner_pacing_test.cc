// A run whose drive needs more than its holding disk gives while dumps write there, in virtual time.
#include <map>
#include <memory>

#include "server/drive/night_bench.h"
#include "sim/sim_loop.h"
#include "sim/sim_machine.h"
#include "sim/sim_network.h"

namespace headrace::drive {
namespace {

class RunnerPacing : public NightBench {
 protected:
  RunnerPacing() {
    disk_names = {"/short", "/long"};
    holding_use = "100 mbytes";
  }

  // /short is written to its volume while /long still comes in.
  journal::RunState night() {
    sim::SimLoop loop;
    // Each block read from holding disk, and each written, takes that long.
    loop.set_work_duration(std::chrono::milliseconds(100));
    sim::SimNetwork network(loop, 1);
    std::map<std::string, sim::SimDisk> disks;
    disks.emplace("/short", sim::SimDisk(2, 20, 100'000));
    disks.emplace("/long", sim::SimDisk(1, 20, 500'000));
    sim::SimMachine machine(loop, disks, {}, 1);
    network.add(kHost, {.bytes_per_second = 200'000},
                [&machine](auto connection) { machine.serve(std::move(connection)); });
    const auto config = configuration();
    Runner runner(loop, network, config, {entries(config)});
    const auto begun = runner.begin();
    EXPECT_TRUE(begun) << begun.error().what();
    bool done = false;
    runner.start(
        [&](const journal::Body& body) {
          if (const auto* waiting = std::get_if<journal::Waiting>(&body);
              waiting && waiting->code == "pacing")
            held_back.push_back(*waiting);
        },
        [&done](int) { done = true; });
    EXPECT_TRUE(loop.run_until([&done] { return done; }));
    return runner.state();
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
