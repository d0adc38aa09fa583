// A rate limit for one or more flows: a bucket of tokens, a byte each, that fills with time. Flows that share
// one take turns in it. Owned by whoever may limit; outlives the pumps that use it. Loop thread. Waits by a
// timer of the loop; while nobody waits it has none.
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "loop/loop.h"

namespace headrace::flow {

class Throttle {
 public:
  // A flow in the queue; leaves it when destroyed. Lives in its pump, so that waiting allocates nothing.
  class Waiter {
   public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    bool waiting() const { return queue_ != nullptr; }

   protected:
    ~Waiter() { leave_queue(); }
    void leave_queue();
    // It may move so many bytes (> 0). Called from a timer of the loop, or from set_rate() and give_back();
    // must only note it and ask for a turn.
    virtual void granted(size_t bytes) = 0;

   private:
    friend class Throttle;
    Throttle* queue_ = nullptr;
    Waiter* before_ = nullptr;
    Waiter* behind_ = nullptr;
  };

  // 0 bytes a second: no limit.
  explicit Throttle(loop::Loop& loop, uint64_t bytes_per_second = 0);
  ~Throttle();
  Throttle(const Throttle&) = delete;
  Throttle& operator=(const Throttle&) = delete;

  uint64_t rate() const { return rate_; }
  // Also while flows run and wait. What was granted stays granted, at most a quantum a flow.
  void set_rate(uint64_t bytes_per_second);

  // So many bytes, at most `wanted`, may be moved now; 0: the waiter is queued and will be told. A waiter
  // that is queued already may not ask.
  size_t take(Waiter& waiter, size_t wanted);
  // What was granted and will not be used.
  void give_back(size_t bytes);

 private:
  void refill();
  // The grant of one turn: small enough that all who wait are served several times a second.
  int64_t slice() const;
  int64_t capacity() const;
  void serve();
  void arm();
  void append(Waiter& waiter);
  void remove(Waiter& waiter);

  loop::Loop& loop_;
  uint64_t rate_;
  int64_t tokens_ = 0;
  base::Instant filled_at_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
  size_t waiting_ = 0;
  std::unique_ptr<loop::Timer> timer_;
};

}  // namespace headrace::flow
