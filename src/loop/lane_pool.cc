#include "loop/lane_pool.h"

#include <utility>

namespace headrace::loop {

LanePool::~LanePool() {
  std::map<uint64_t, std::deque<Work>> dropped;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    dropped.swap(lanes_);
  }
  dropped.clear();  // not under the lock: what a work holds may do anything when it dies
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void LanePool::add(uint64_t lane, Work work) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    const auto [place, fresh] = lanes_.try_emplace(lane);
    place->second.push_back(std::move(work));
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
    wake_.wait(lock, [this] { return ending_ || !ready_.empty(); });
    --idle_;
    if (ending_) return;
    const uint64_t lane = ready_.front();
    ready_.pop_front();
    Work work = std::move(lanes_[lane].front());
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
