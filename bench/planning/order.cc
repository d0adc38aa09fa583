// How long the server's loop waits while the drive looks for the order in which a night's dumps start:
// made-up dumps from seed 1, five a host, thirty at a time, all of it measured. Prints milliseconds, the
// median of the rounds, by how many dumps wait.
//   build/release/bench/order_search [ROUNDS]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <vector>

#include "server/drive/finish_order.h"

namespace {

using namespace headrace::drive;

constexpr size_t kDisksAHost = 5;

double milliseconds_of_search(size_t waiting) {
  std::mt19937_64 random(1);
  std::vector<Job> jobs;
  MeasuredTogether together{.kps = 100'000};
  for (size_t i = 0; i < waiting; ++i) {
    jobs.push_back({.id = i + 1,
                    .host = fmt::format("host{}", i / kDisksAHost),
                    .est_stored_kib = 1000 + random() % 1'000'000,
                    .max_dumps = 3,
                    .own_kps = 1000 + random() % 20'000});
    together.host_kps[jobs.back().host] = 15'000;
  }
  NightRest rest{.in_parallel = 30, .volume_kps = 40'000, .together = &together};
  for (const auto& job : jobs) rest.waiting.push_back(&job);
  const auto began = std::chrono::steady_clock::now();
  const auto found = finish_order(rest);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
  if (!found.forecast || found.ids.size() != waiting) {
    fmt::print(stderr, "{} dumps: no order was looked for\n", waiting);
    std::exit(1);
  }
  return took.count();
}

}  // namespace

int main(int argc, char** argv) {
  const size_t rounds = std::max(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 5, 1UL);
  for (const size_t waiting : {30, 100, 500, 2000, 5000}) {
    std::vector<double> took;
    for (size_t i = 0; i < rounds; ++i) took.push_back(milliseconds_of_search(waiting));
    std::ranges::sort(took);
    fmt::print("{} dumps: {:.1f} ms ({:.1f} to {:.1f})\n", waiting, took[took.size() / 2], took.front(),
               took.back());
  }
}
