// A gate that holds one or more flows: closed, they stop reading; open, they go on. Owned by whoever may
// pause; outlives the pumps that use it. Loop thread.
#pragma once

#include <functional>
#include <vector>

namespace headrace::flow {

class Gate {
 public:
  bool open() const { return open_; }
  void close();
  // Opens and wakes each waiting flow once.
  void reopen();
  void await_open(std::move_only_function<void()> woken) { waiting_.push_back(std::move(woken)); }

 private:
  bool open_ = true;
  std::vector<std::move_only_function<void()>> waiting_;
};

}  // namespace headrace::flow
