// The event loop: time, deferred calls, descriptor readiness and work on other threads. One per process,
// handed down by main; everything on it runs on one thread, each callback to completion. Nothing called from
// it may block: what must block goes through offload().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

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
// calls back once, never from inside; a later arming of the same direction replaces an earlier one, an
// empty callback only cancels it. Destroying cancels. May call back though there is nothing to do; whoever is
// called tries and arms again.
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
  // As post(), for work that moves bulk data in bounded pieces. Turns are a line of their own: after a few of
  // them descriptors, timers and all that was posted are served, so that hundreds of busy flows do not hold
  // up a control packet. Taken in the order they were asked for. On the loop's thread only.
  virtual void post_turn(Callback turn) { post(std::move(turn)); }
  [[nodiscard]] virtual std::unique_ptr<Timer> after(base::Duration delay, Callback callback) = 0;
  // Makes the descriptor nonblocking. At most one watch a descriptor. Error for what is always ready (regular
  // files, directories): such work goes through offload().
  [[nodiscard]] virtual base::Result<std::unique_ptr<Watch>> watch(int fd) = 0;
  // Runs `work` on a worker thread, then `done` on the loop's thread. Works of one `lane` run one after the
  // other in order of offering; different lanes run side by side as far as there are threads. Both are
  // destroyed on the loop's thread once they have run.
  virtual void offload(uint64_t lane, Callback work, Callback done) = 0;
  // As offload(), for what must not be left undone, such as removing a file: it runs even when the loop is
  // destroyed before its turn. It must own all it uses, and is destroyed on the worker.
  virtual void offload_surely(uint64_t lane, Callback work) { offload(lane, std::move(work), [] {}); }
  // A lane nobody else uses.
  virtual uint64_t new_lane() = 0;

  // Runs until stop() is called; at once back when it was called before.
  virtual void run() = 0;
  virtual void stop() = 0;
};

// Lanes below this belong to name lookups and have threads of their own, so that a dead name server does not
// hold up the disks; new_lane() never gives one.
inline constexpr uint64_t kNameLanes = 4;

// The real loop. `workers` threads serve offload(). Ignores SIGPIPE for the whole process. Destroying it
// waits for works under way and for those that were to run surely; other works not begun and callbacks not
// yet called are dropped.
std::unique_ptr<Loop> make_loop(unsigned workers);

}  // namespace headrace::loop
