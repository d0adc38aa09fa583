// Tells a callback whether its object still stands. A deferred callback holds an Alive::Ref and does nothing
// once the Alive it came from is gone; an object that calls out may check after the call whether it was
// destroyed.
#pragma once

#include <memory>

namespace headrace::base {

class Alive {
 public:
  using Ref = std::weak_ptr<const char>;
  Alive() : token_(std::make_shared<const char>('\0')) {}
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  Ref ref() const { return token_; }

 private:
  std::shared_ptr<const char> token_;  // shared only in the sense of weak_ptr: one owner
};

}  // namespace headrace::base
