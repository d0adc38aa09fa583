#include "loop/lane_pool.h"

#include <iterator>
#include <utility>

namespace headrace::loop {

void LanePool::end() {
  {
    std::unique_lock lock(mutex_);
    phase_ = Phase::dropping;
    auto dropped = take_droppable();
    lock.unlock();
    dropped.clear();  // not under the lock: what a work holds may do anything when it dies
  }
  {
    const std::lock_guard lock(mutex_);
    phase_ = Phase::ending;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  phase_ = Phase::ended;
}

// Under the lock. Lanes without works left are gone after this, but for those a thread works for.
std::deque<LanePool::Task> LanePool::take_droppable() {
  std::deque<Task> taken;
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    auto& [id, tasks] = *lane;
    std::deque<Task> kept;
    for (Task& task : tasks) (task.fate == Fate::must_run ? kept : taken).push_back(std::move(task));
    tasks.swap(kept);
    lane = tasks.empty() && std::erase(ready_, id) > 0 ? lanes_.erase(lane) : std::next(lane);
  }
  return taken;
}

void LanePool::add(uint64_t lane, Work work, Fate fate) {
  {
    std::unique_lock lock(mutex_);
    if (phase_ != Phase::open && fate == Fate::may_be_dropped) return;
    if (phase_ == Phase::ended) {
      lock.unlock();
      return work();
    }
    const auto [place, fresh] = lanes_.try_emplace(lane);
    place->second.push_back({std::move(work), fate});
    if (!fresh) return;  // whoever runs this lane's earlier work puts it back into ready_
    ready_.push_back(lane);
    if (idle_ < ready_.size() && threads_.size() < limit_) {
      threads_.emplace_back([this] { serve(); });
    }
  }
  wake_.notify_one();
}

void LanePool::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return phase_ == Phase::ending || !ready_.empty(); });
    --idle_;
    if (ready_.empty()) return;
    const uint64_t lane = ready_.front();
    ready_.pop_front();
    Work work = std::move(lanes_[lane].front().work);
    lanes_[lane].pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
    // One work a turn, so that a long lane does not keep the others waiting.
    if (lanes_[lane].empty()) {
      lanes_.erase(lane);
    } else {
      ready_.push_back(lane);
    }
  }
}

}  // namespace headrace::loop
