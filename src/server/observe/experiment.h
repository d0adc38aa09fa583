// The experiment of `headrace diagnose`: measures some dumps all together, each alone and in pairs, by
// closing and opening their gates, several rounds of it. A state machine on the loop's clock, owned by the
// command; what opens gates and counts bytes is a Bench. Judges nothing: that is diagnosis.h.
//
//             start        gates set      settled       counted      measured, next phase or round
//   idle ───────▶ setting ──────▶ settling ──────▶ measuring ──────▶ setting … ──▶ opening all ──▶ over
//                   └──────────────────┴───────────────┴── the bench failed, stop() ────┘
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "loop/loop.h"
#include "server/observe/diagnosis.h"

namespace headrace::observe {

// One dump as it is at a moment.
struct BenchCount {
  bool runs = false;  // false: it has ended
  uint64_t bytes = 0;
  // Time its flow has spent waiting, in all: for its source, for its sink.
  uint64_t starved_ms = 0, blocked_ms = 0;
  std::string verdict = {};            // what is its bottleneck now; empty: nobody says
  std::optional<uint64_t> at_ms = {};  // when that was so, by a clock of its own; unset: when all was counted
  uint64_t throttled_ms = 0;           // time that a rate limit held it, in all
};
struct BenchCounts {
  // As PhaseRate's.
  std::string starved_by = "client or network", blocked_by = "holding disk";
  int64_t now_us = 0;  // of a clock that only runs forward
  std::vector<BenchCount> dumps = {};
};

class Bench {
 public:
  virtual ~Bench() = default;
  // Opens the gates of these dumps and closes those of the others. `done` comes later, once.
  virtual void open_only(const std::vector<size_t>& open,
                         std::move_only_function<void(base::Result<>)> done) = 0;
  virtual void count(std::move_only_function<void(base::Result<BenchCounts>)> done) = 0;
};

// What buffers on the way may hold of one dump (pipes, rings, the kernel's at both ends; measured: 6 MB): a
// gate that closes stops its source only when they are full, and one that opens lets them empty first. A slow
// dump needs long for that.
inline constexpr uint64_t kInFlightBytes = uint64_t{8} << 20U;
inline constexpr base::Duration kMostSettle = std::chrono::seconds(30);

struct ExperimentOptions {
  base::Duration settle = std::chrono::seconds(1);   // from gates to counting, at least
  base::Duration measure = std::chrono::seconds(3);  // of a phase
  int rounds = 3;
  bool pairs = true;
};

// The sets of dumps that are open together, in the order of one round: all, each, each pair.
std::vector<std::vector<size_t>> phases_of(size_t dumps, bool pairs);
base::Duration duration_of(size_t dumps, const ExperimentOptions& options);

class Experiment {
 public:
  // `phase` is told what begins: "round 2 of 3, alone: 1". `done` comes once, when all gates are open again
  // (or the bench can open none any more): with what was measured, which may be less than all, and why it
  // ended early.
  struct Outcome {
    std::vector<Measured> taken;
    base::Result<> ended = {};
  };
  using Phase = std::move_only_function<void(int round, const std::vector<size_t>& open)>;
  using Done = std::move_only_function<void(Outcome)>;

  // Borrows loop and bench.
  Experiment(loop::Loop& loop, Bench& bench, size_t dumps, ExperimentOptions options);
  ~Experiment();  // stops silently; the gates stay as they are
  Experiment(const Experiment&) = delete;
  Experiment& operator=(const Experiment&) = delete;

  void start(Phase phase, Done done);
  // Ends early, with what there is.
  void stop(base::Error why);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::observe
