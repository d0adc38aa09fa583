// Whole runs against one simulated machine, in virtual time: a drive that needs more than its holding disk
// gives while dumps write there, and what a run measures of what its dumps share.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "journal/rates.h"
#include "server/drive/night_bench.h"
#include "sim/sim_loop.h"
#include "sim/sim_machine.h"
#include "sim/sim_network.h"

namespace headrace::drive {
namespace {

class SimNightBench : public NightBench {
 protected:
  // `disks` are what `disk_names` say; each connection moves so many bytes a second. `work`: what each block
  // read from holding disk, and each written, takes.
  journal::RunState night(
      std::map<std::string, sim::SimDisk> disks, uint64_t bytes_per_second, base::Duration work = {},
      std::function<void(const journal::Body&)> listener = [](const journal::Body&) {}) {
    sim::SimLoop loop;
    if (work > base::Duration::zero()) loop.set_work_duration(work);
    sim::SimNetwork network(loop, 1);
    sim::SimMachine machine(loop, disks, {}, 1);
    network.add(kHost, {.bytes_per_second = bytes_per_second},
                [&machine](auto connection) { machine.serve(std::move(connection)); });
    const auto config = configuration();
    Runner runner(loop, network, config, {entries(config)});
    const auto begun = runner.begin();
    EXPECT_TRUE(begun) << begun.error().what();
    bool done = false;
    runner.start(std::move(listener), [&done](int) { done = true; });
    EXPECT_TRUE(loop.run_until([&done] { return done; }));
    return runner.state();
  }
};

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
