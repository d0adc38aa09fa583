// How long the plan of a large night takes: disks of made-up history on made-up hosts, from seed 1. Prints
// milliseconds of `decide` and `make_plan`, the median of the rounds, of usual and of crowded nights.
//   build/release/bench/planning [DISKS] [ROUNDS]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/plan/plan.h"

namespace {

using namespace headrace::plan;

constexpr int64_t kNow = 1'796'000'000;
constexpr int64_t kDay = 24 * 3600;
constexpr size_t kDisksAHost = 5;
constexpr uint64_t kLargestKib = 500'000'000;

PlanDle disk_of(size_t number, std::mt19937_64& random) {
  PlanDle dle;
  dle.host = fmt::format("host{}", number / kDisksAHost);
  dle.disk = fmt::format("/disk{}", number);
  dle.dumpcycle_days = 10;
  const uint64_t full = 1000 + random() % kLargestKib;
  const int64_t since_full = static_cast<int64_t>(random() % 11);
  dle.records[0] = {.timestamp = headrace::base::timestamp14(kNow - since_full * kDay),
                    .native_kib = full,
                    .stored_kib = full};
  dle.history.push_back({0, full});
  dle.last_level = since_full > 0 ? 1 : 0;
  dle.last_level_runs = static_cast<int>(std::max<int64_t>(since_full, 1));
  if (dle.last_level == 1) {
    dle.records[1] = {.timestamp = headrace::base::timestamp14(kNow - kDay),
                      .native_kib = full / 10,
                      .stored_kib = full / 10};
  }
  for (int64_t day = 0; day < 30; ++day) dle.history.push_back({day % 10 == 9 ? 0 : 1, full / 10});
  return dle;
}

double milliseconds(auto&& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

void measure(const char* what, PlanInputs inputs, const std::vector<Answer>& answers, size_t rounds) {
  std::vector<double> took;
  Plan plan;
  for (size_t i = 0; i < rounds; ++i) {
    took.push_back(milliseconds([&] { (void)decide(inputs); }) +
                   milliseconds([&] { plan = make_plan(inputs, answers); }));
  }
  std::ranges::sort(took);
  size_t early = 0;
  for (const auto& dump : plan.dumps) early += dump.as.reason.why == Why::promoted ? 1 : 0;
  fmt::print("{}: {:.0f} ms ({:.0f} to {:.0f}); {} dumps, {} fulls made early, {} notes, {} dropped\n", what,
             took[took.size() / 2], took.front(), took.back(), plan.dumps.size(), early, plan.notes.size(),
             plan.failed.size());
}

}  // namespace

int main(int argc, char** argv) {
  const size_t disks = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 5000;
  const size_t rounds = std::max(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 5, 1UL);
  std::mt19937_64 random(1);
  PlanInputs inputs;
  inputs.timestamp = headrace::base::timestamp14(kNow);
  std::vector<Answer> answers;
  uint64_t fulls = 0;
  for (size_t i = 0; i < disks; ++i) {
    inputs.dles.push_back(disk_of(i, random));
    const auto full = static_cast<int64_t>(inputs.dles.back().records[0].native_kib);
    answers.push_back({.native_kib = {{0, full}, {1, full / 10}, {2, full / 20}}});
    fulls += static_cast<uint64_t>(full);
  }
  inputs.capacity.dumpcycle_days = 10;
  inputs.capacity.volume_kib = static_cast<int64_t>(fulls);
  measure("room for all", inputs, answers, rounds);
  inputs.capacity.volume_kib = static_cast<int64_t>(fulls / 8);
  measure("room for some", inputs, answers, rounds);
  for (auto& dle : inputs.dles) dle.records[0].timestamp = headrace::base::timestamp14(kNow - 3 * kDay);
  inputs.capacity.volume_kib = static_cast<int64_t>(fulls);
  measure("no full due", inputs, answers, rounds);
  for (auto& dle : inputs.dles) dle.host = "host0";
  measure("one host", inputs, answers, rounds);
  for (auto& dle : inputs.dles) dle.records[0].timestamp = headrace::base::timestamp14(kNow - 30 * kDay);
  inputs.capacity.volume_kib = static_cast<int64_t>(fulls / 8);
  measure("all overdue", inputs, answers, rounds);
  inputs.capacity.volume_kib = static_cast<int64_t>(fulls / 100);
  measure("hardly any room", inputs, answers, rounds);
  return 0;
}
