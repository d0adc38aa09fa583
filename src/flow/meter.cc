#include "flow/meter.h"

#include <algorithm>

namespace headrace::flow {

void Meter::settle(MeterSnapshot& into, base::Instant now) const {
  if (state_ == FlowState::idle || state_ == FlowState::ended) return;
  const base::Duration spent = now - since_;
  if (!splicing_) into.fill[fill_part_] += spent;
  switch (state_) {
    case FlowState::starved:
      into.starved += spent;
      break;
    case FlowState::blocked:
      into.blocked += spent;
      break;
    case FlowState::gated:
      into.gated += spent;
      break;
    case FlowState::throttled:
      into.throttled += spent;
      break;
    case FlowState::moving:
      into.busy += spent;
      break;
    case FlowState::idle:
    case FlowState::ended:
      break;
  }
}

void Meter::enter(FlowState state, size_t filled, size_t capacity) {
  enter_part(state, std::min(filled * kFillParts / capacity, kFillParts - 1));
}

void Meter::enter_part(FlowState state, size_t fill_part) {
  if (state == state_ && fill_part == fill_part_) return;
  const base::Instant now = clock_.now();
  settle(totals_, now);
  since_ = now;
  state_ = state;
  fill_part_ = fill_part;
}

void Meter::note_splicing(bool splicing) {
  splicing_ = splicing;
  totals_.spliced = totals_.spliced || splicing;
}

MeterSnapshot Meter::snapshot() const {
  MeterSnapshot now = totals_;
  settle(now, clock_.now());
  return now;
}

}  // namespace headrace::flow
