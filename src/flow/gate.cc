#include "flow/gate.h"

#include <utility>

#include "flow/probes.h"

namespace headrace::flow {

void Gate::close() {
  open_ = false;
  HEADRACE_PROBE(gate__close, this);
}

void Gate::reopen() {
  open_ = true;
  HEADRACE_PROBE(gate__open, this, waiting_.size());
  // A woken flow may wait again at once; it must then land in a new list.
  auto woken = std::exchange(waiting_, {});
  for (auto& wake : woken) wake();
}

}  // namespace headrace::flow
