// Worker threads with lanes: works of one lane run one after the other in order, lanes side by side. Inside
// of the real loop; used by nobody else. Threads start with the first work.
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
  ~LanePool() { end(); }
  LanePool(const LanePool&) = delete;
  LanePool& operator=(const LanePool&) = delete;

  enum class Fate : unsigned char { may_be_dropped, must_run };
  // After end(), work that must run does so at once, on the caller's thread; other work is dropped.
  void add(uint64_t lane, Work work, Fate fate);
  // Waits for works under way and for those that must run, and drops the others. The destructor calls it.
  void end();

 private:
  struct Task {
    Work work;
    Fate fate;
  };
  using Lanes = std::map<uint64_t, std::deque<Task>>;

  void serve();
  std::deque<Task> take_droppable();

  const unsigned limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  enum class Phase : unsigned char { open, dropping, ending, ended };
  Phase phase_ = Phase::open;
  unsigned idle_ = 0;
  // A lane is here while it has works waiting or under way, and in ready_ while none of its works runs.
  Lanes lanes_;
  std::deque<uint64_t> ready_;
  std::vector<std::thread> threads_;
};

}  // namespace headrace::loop
