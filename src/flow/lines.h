// Lines out of a Readable: each complete line goes to a callback, whatever pieces it came in. Bounded: a line
// longer than its limit ends the reading with an error. Borrows the source. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "flow/gate.h"
#include "flow/limits.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::flow {

class LineReader {
 public:
  // `line` is called without the newline; a last line without newline is delivered too, with `partial` set.
  // It may destroy the reader; `line` is then gone too.
  using Line = std::move_only_function<void(std::string_view line, bool partial)>;
  using End = std::move_only_function<void(base::Result<>)>;
  LineReader(loop::Loop& loop, loop::Readable& source, Line line, End end,
             size_t max_line_bytes = kMaxLineBytes);
  ~LineReader();  // stops silently
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  void start();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::flow
