// One strand of blocking work for one object: at most one task is out at a time, and it can be taken back.
// Made for streams over files, whose caller lends memory only until close() or abandon(). Loop thread;
// borrows the loop. Knows nothing of what the work does.
#pragma once

#include <memory>

#include "loop/loop.h"

namespace headrace::loop {

class Lane {
  struct Task;

 public:
  // The memory a task was lent. Given back early, before a part of the task that may take long without it
  // (an fsync), drop() does not wait for that part.
  class Loan {
   public:
    void give_back();  // worker; idempotent

   private:
    friend class Lane;
    explicit Loan(Task& task) : task_(task) {}
    Task& task_;
  };

  // On a lane of its own, or on one shared with other objects: their tasks then never overlap.
  explicit Lane(Loop& loop) : Lane(loop, loop.new_lane()) {}
  Lane(Loop& loop, uint64_t lane) : loop_(loop), lane_(lane) {}
  ~Lane();  // drop()
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  bool busy() const;
  // Runs `work` on a worker, then `done` on the loop's thread, during which the lane is free again. `work`
  // may use what `this` lane's owner lent it until drop() returns. Precondition: not busy.
  void run(Callback work, Callback done);
  // The same for work that can tell when it needs the lent memory no more. The rest of it must own all it
  // uses.
  void run(std::move_only_function<void(Loan&)> work, Callback done);
  // Runs `work` behind what is out, whatever becomes of this Lane or the loop; it must own all it uses.
  void run_detached(Callback work);
  // Takes the task back: one that has not begun never runs, one that runs is waited for until it ends or
  // gives its loan back (the only case in which the loop's thread waits, for the system calls of a single
  // task). Its `done` is not called. Idempotent.
  void drop();
  // As drop(), but lets a running one go on: for work that owns all it uses.
  void forget();

 private:
  Loop& loop_;
  uint64_t lane_;
  std::shared_ptr<Task> task_;  // shared with the worker, which may outlive this Lane
};

}  // namespace headrace::loop
