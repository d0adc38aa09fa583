// What happened at one joint of a flow: bytes, and where the time went. Written by its pump, read by anybody
// on the loop's thread; values only grow, so two snapshots give a rate.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace headrace::flow {

struct MeterSnapshot {
  uint64_t bytes = 0;
  base::Duration starved{};  // nothing to move: waiting for the source
  base::Duration blocked{};  // something to move, and the sink would not take it
  base::Duration gated{};    // the gate was closed
};

enum class FlowState : unsigned char { idle, moving, starved, blocked, gated, ended };

class Meter {
 public:
  explicit Meter(const base::Clock& clock) : clock_(clock), since_(clock.now()) {}
  void count(uint64_t bytes) { totals_.bytes += bytes; }
  // Closes the account of the state so far and opens one for `state`.
  void enter(FlowState state);
  FlowState state() const { return state_; }
  MeterSnapshot snapshot() const;

 private:
  void settle(MeterSnapshot& into) const;
  const base::Clock& clock_;
  base::Instant since_;
  FlowState state_ = FlowState::idle;
  MeterSnapshot totals_;
};

}  // namespace headrace::flow
