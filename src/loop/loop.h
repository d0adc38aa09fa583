// The event loop: time, deferred calls, descriptor readiness and work on other threads. One per process, handed
// down by main; everything on it runs on one thread, each callback to completion. Nothing called from it may
// block: what must block goes through offload().
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/error.h"

namespace headrace::loop {

using Callback = std::move_only_function<void()>;

// A pending timer; destroying it cancels, and its callback is then never called.
class Timer {
 public:
  virtual ~Timer() = default;
};

// Readiness of one descriptor, which it borrows: destroy the watch before closing the descriptor. Each arming
// calls back once. Destroying cancels.
class Watch {
 public:
  virtual ~Watch() = default;
  virtual void await_readable(Callback ready) = 0;
  virtual void await_writable(Callback ready) = 0;
};

class Loop {
 public:
  virtual ~Loop() = default;

  virtual const base::Clock& clock() const = 0;
  // Calls back on the loop's thread, after the current callback. May be called from any thread.
  virtual void post(Callback callback) = 0;
  [[nodiscard]] virtual std::unique_ptr<Timer> after(base::Duration delay, Callback callback) = 0;
  [[nodiscard]] virtual base::Result<std::unique_ptr<Watch>> watch(int fd) = 0;
  // Runs `work` on a worker thread, then `done` on the loop's thread. Works of one `lane` run one after the
  // other in order of offering; different lanes run side by side as far as there are threads.
  virtual void offload(uint64_t lane, Callback work, Callback done) = 0;
  // A lane nobody else uses.
  virtual uint64_t new_lane() = 0;

  // Runs until stop() is called.
  virtual void run() = 0;
  virtual void stop() = 0;
};

// The real loop. `workers` threads serve offload().
std::unique_ptr<Loop> make_loop(unsigned workers);

}  // namespace headrace::loop
