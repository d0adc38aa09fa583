// What happened at one joint of a flow: bytes, and where the time went. Written by its pump, read by anybody
// on the loop's thread; values only grow, so two snapshots give a rate. The pump reads the clock when it
// changes its state, twice a turn at most and never per block.
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.h"

namespace headrace::flow {

// Parts of a ring by which its fill is counted.
inline constexpr size_t kFillParts = 8;

// Every moment from the flow's start to its end is in exactly one of the five times, so they sum to its age.
struct MeterSnapshot {
  uint64_t bytes = 0;
  base::Duration starved{};    // nothing to move: waiting for the source
  base::Duration blocked{};    // something to move, and the sink would not take it; or it was finishing
  base::Duration gated{};      // the gate was closed
  base::Duration throttled{};  // a rate limit held it
  base::Duration busy{};       // moving, or waiting for its next turn after a full one
  // Time by how full the ring was, in eighths: [0] is empty to one eighth. Sums to the age as well, unless
  // the flow spliced: the kernel's buffers are not looked at, and what was not counted is missing here.
  std::array<base::Duration, kFillParts> fill{};
  bool spliced = false;  // has spliced, at least for a time

  base::Duration age() const { return starved + blocked + gated + throttled + busy; }
};

enum class FlowState : unsigned char { idle, moving, starved, blocked, gated, throttled, ended };

class Meter {
 public:
  explicit Meter(const base::Clock& clock) : clock_(clock), since_(clock.now()) {}
  void count(uint64_t bytes) { totals_.bytes += bytes; }
  // Closes the account of the state so far and opens one for `state`; the ring's fill is as before, or as
  // said.
  void enter(FlowState state) { enter_part(state, fill_part_); }
  void enter(FlowState state, size_t filled, size_t capacity);
  // The flow has no ring from here on, or (false) has one again.
  void note_splicing(bool splicing);
  FlowState state() const { return state_; }
  uint64_t bytes() const { return totals_.bytes; }
  MeterSnapshot snapshot() const;

 private:
  void enter_part(FlowState state, size_t fill_part);
  void settle(MeterSnapshot& into, base::Instant now) const;
  const base::Clock& clock_;
  base::Instant since_;
  FlowState state_ = FlowState::idle;
  bool splicing_ = false;
  size_t fill_part_ = 0;
  MeterSnapshot totals_;
};

}  // namespace headrace::flow
