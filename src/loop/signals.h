// Signals as loop callbacks. Owned by main; destroying it restores the default action.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "loop/loop.h"

namespace headrace::loop {

class Signals {
 public:
  virtual ~Signals() = default;
};

[[nodiscard]] std::unique_ptr<Signals> on_signals(Loop& loop, std::initializer_list<int> numbers,
                                                  std::move_only_function<void(int)> callback);

}  // namespace headrace::loop
