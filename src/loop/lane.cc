#include "loop/lane.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace headrace::loop {

struct Lane::Task {
  // `working`: on a worker, the lent memory given back.
  enum class State : unsigned char { queued, running, working, ended, dropped };
  std::mutex mutex;
  std::condition_variable ended;
  State state = State::queued;
  std::move_only_function<void(Loan&)> work;
  Callback done;  // loop thread only
};

void Lane::Loan::give_back() {
  const std::lock_guard lock(task_.mutex);
  if (task_.state != Task::State::running) return;
  task_.state = Task::State::working;
  task_.ended.notify_all();
}

Lane::~Lane() { drop(); }

bool Lane::busy() const { return task_ != nullptr; }

void Lane::run(Callback work, Callback done) {
  run([work = std::move(work)](Loan&) mutable { work(); }, std::move(done));
}

void Lane::run(std::move_only_function<void(Loan&)> work, Callback done) {
  HEADRACE_CHECK(task_ == nullptr);
  auto task = std::make_shared<Task>();
  task->work = std::move(work);
  task->done = std::move(done);
  task_ = task;
  loop_.offload(
      lane_,
      [task] {
        {
          const std::lock_guard lock(task->mutex);
          if (task->state == Task::State::dropped) return;
          task->state = Task::State::running;
        }
        Loan loan(*task);
        task->work(loan);
        // What it owned goes here, not on the loop's thread.
        task->work = nullptr;
        const std::lock_guard lock(task->mutex);
        if (task->state == Task::State::dropped) return;
        task->state = Task::State::ended;
        task->ended.notify_all();
      },
      [this, task] {
        {
          const std::lock_guard lock(task->mutex);
          if (task->state == Task::State::dropped) return;
          // From here on nobody else touches it; drop() marks a task that ended but was not reported.
          task->state = Task::State::dropped;
        }
        task_.reset();
        auto report = std::move(task->done);
        report();
      });
}

void Lane::run_detached(Callback work) {
  loop_.offload_surely(lane_, std::move(work));
}

void Lane::drop() {
  if (task_ == nullptr) return;
  const auto task = std::exchange(task_, nullptr);
  std::unique_lock lock(task->mutex);
  task->ended.wait(lock, [&task] { return task->state != Task::State::running; });
  task->state = Task::State::dropped;
}

void Lane::forget() {
  if (task_ == nullptr) return;
  const auto task = std::exchange(task_, nullptr);
  const std::lock_guard lock(task->mutex);
  task->state = Task::State::dropped;
}

}  // namespace headrace::loop
