// A sink that takes everything at once and keeps nothing: where a dump that is only measured ends.
#pragma once

#include <functional>
#include <span>

#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::flow {

class Discard : public loop::Writable {
 public:
  explicit Discard(loop::Loop& loop) : loop_(loop) {}
  loop::IoResult write(std::span<const iovec> pieces) override {
    size_t bytes = 0;
    for (const auto& piece : pieces) bytes += piece.iov_len;
    return {loop::IoState::moved, bytes};
  }
  void await_writable(loop::Ready) override {}  // it never lets anybody wait
  base::Error error() const override { return {base::ErrorKind::gone, "nothing failed"}; }
  void finish(std::move_only_function<void(base::Result<>)> done) override {
    loop_.post([done = std::move(done)]() mutable { done({}); });
  }
  void abandon() override {}

 private:
  loop::Loop& loop_;
};

}  // namespace headrace::flow
