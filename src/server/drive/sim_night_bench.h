// A whole run against one simulated machine, in virtual time. Tests only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "server/drive/night_bench.h"
#include "sim/sim_loop.h"
#include "sim/sim_machine.h"
#include "sim/sim_network.h"

namespace headrace::drive {

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

}  // namespace headrace::drive
