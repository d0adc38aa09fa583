// A Writable over blocking calls: each write happens on a worker thread while the caller's memory stays where
// it is. For what has no descriptor to poll: index files, compressors, catalogs. Loop thread.
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::dump {

// The blocking side. Called on worker threads, one call at a time.
class BlockingSink {
 public:
  virtual ~BlockingSink() = default;
  virtual base::Result<> write(base::Bytes bytes) = 0;
  virtual base::Result<> finish() = 0;
  // Last call, if it comes: after a failure, or when the stream was given up, even amid finish().
  virtual void abandon() = 0;
};

// Owns `sink`. All its calls are made on `lane`, in order. Destroying the stream without finish() abandons
// it.
std::unique_ptr<loop::Writable> make_offload_sink(loop::Loop& loop, uint64_t lane,
                                                  std::unique_ptr<BlockingSink> sink);

}  // namespace headrace::dump
