// A small seeded random generator (splitmix64), the same on every machine, unlike the distributions of
// <random>. Values; not for secrets.
#pragma once

#include <cstdint>

namespace headrace::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    state_ += 0x9E3779B97F4A7C15U;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31U);
  }
  // 0 … count-1; count > 0. The bias is beyond what a test can see.
  uint64_t below(uint64_t count) { return next() % count; }
  // low … high, both included.
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  // True once in `count` times on average; never for 0.
  bool one_in(uint64_t count) { return count != 0 && below(count) == 0; }

 private:
  uint64_t state_;
};

}  // namespace headrace::sim
