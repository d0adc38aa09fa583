#include "flow/meter.h"

namespace headrace::flow {

void Meter::settle(MeterSnapshot& into) const {
  const base::Duration spent = clock_.now() - since_;
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
    case FlowState::idle:
    case FlowState::moving:
    case FlowState::ended:
      break;
  }
}

void Meter::enter(FlowState state) {
  if (state == state_) return;
  settle(totals_);
  since_ = clock_.now();
  state_ = state;
}

MeterSnapshot Meter::snapshot() const {
  MeterSnapshot now = totals_;
  settle(now);
  return now;
}

}  // namespace headrace::flow
