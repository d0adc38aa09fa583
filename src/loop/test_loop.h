// Helpers for tests that run a Loop, real or simulated. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "loop/loop.h"

namespace headrace::loop {

// Fails the test and stops the loop when it has run for ten seconds (of its own clock).
[[nodiscard]] inline std::unique_ptr<Timer> end_test_after_deadline(Loop& loop) {
  return loop.after(std::chrono::seconds(10), [&loop] {
    ADD_FAILURE() << "ten seconds have passed and what the test waits for has not happened";
    loop.stop();
  });
}

// Lets the loop go round `turns` times, looking for ready descriptors each time, then calls `then`. For
// showing that something does not happen.
inline void turn_loop(Loop& loop, int turns, Callback then) {
  if (turns == 0) return then();
  loop.post(
      [&loop, turns, then = std::move(then)]() mutable { turn_loop(loop, turns - 1, std::move(then)); });
}

}  // namespace headrace::loop
