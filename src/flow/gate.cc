#include "flow/gate.h"

#include <utility>

namespace headrace::flow {

void Gate::reopen() {
  open_ = true;
  // A woken flow may wait again at once; it must then land in a new list.
  auto woken = std::exchange(waiting_, {});
  for (auto& wake : woken) wake();
}

}  // namespace headrace::flow
