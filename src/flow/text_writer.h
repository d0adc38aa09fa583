// Queued text towards a Writable: control lines, messages. Bounded: when the peer does not read, put() fails
// once kMaxQueuedTextBytes wait. Borrows the sink. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "flow/limits.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::flow {

class TextWriter {
 public:
  TextWriter(loop::Loop& loop, loop::Writable& sink);
  ~TextWriter();  // drops what is queued, silently
  TextWriter(const TextWriter&) = delete;
  TextWriter& operator=(const TextWriter&) = delete;

  base::Result<> put(std::string_view text);
  // Called once, later, when everything put so far has been taken by the sink, or with its failure.
  void when_drained(std::move_only_function<void(base::Result<>)> done);
  // Drains, then finishes the sink.
  void finish(std::move_only_function<void(base::Result<>)> done);
  size_t queued_bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::flow
