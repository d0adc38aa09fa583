// Worker threads with lanes: works of one lane run one after the other in order, lanes side by side. Inside
// of the real loop; used by nobody else. Threads start with the first work. Destroying the pool waits for
// works under way and drops those not begun.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace headrace::loop {

class LanePool {
 public:
  using Work = std::move_only_function<void()>;

  explicit LanePool(unsigned threads) : limit_(threads == 0 ? 1 : threads) {}
  ~LanePool();
  LanePool(const LanePool&) = delete;
  LanePool& operator=(const LanePool&) = delete;

  void add(uint64_t lane, Work work);

 private:
  void serve();

  const unsigned limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  unsigned idle_ = 0;
  // A lane is here while it has works waiting or under way, and in ready_ while none of its works runs.
  std::map<uint64_t, std::deque<Work>> lanes_;
  std::deque<uint64_t> ready_;
  std::vector<std::thread> threads_;
};

}  // namespace headrace::loop
