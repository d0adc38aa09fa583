// Callbacks in order of arrival, in a ring that grows and never shrinks: once as large as its busiest moment,
// it allocates no more. For loops; one thread.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "loop/loop.h"

namespace headrace::loop {

class CallbackQueue {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  void push(Callback callback) {
    if (size_ == ring_.size()) grow();
    ring_[(first_ + size_) & (ring_.size() - 1)] = std::move(callback);
    ++size_;
  }
  // Of a queue that is not empty.
  Callback pop() {
    Callback callback = std::exchange(ring_[first_], nullptr);
    first_ = (first_ + 1) & (ring_.size() - 1);
    --size_;
    return callback;
  }

 private:
  void grow() {
    std::vector<Callback> larger(ring_.empty() ? 64 : 2 * ring_.size());  // a power of two
    for (size_t i = 0; i < size_; ++i) larger[i] = std::move(ring_[(first_ + i) & (ring_.size() - 1)]);
    ring_ = std::move(larger);
    first_ = 0;
  }

  std::vector<Callback> ring_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace headrace::loop
