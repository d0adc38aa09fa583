// The INDEX and STATE streams' way into their files, off the loop. Loop thread.
#pragma once

#include <memory>

#include "compat/index_file.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::dump {

// Beyond these an index is not one, and is not kept.
inline constexpr size_t kMaxIndexNameBytes = size_t{64} << 10U;
inline constexpr uint64_t kMaxIndexBytes = uint64_t{64} << 30U;

enum class IndexPart { index, state };

// Opens the file with its first bytes; a state file without bytes is never made. The file gets its name when
// `keep()` is called after the stream was finished; otherwise it is removed.
class IndexSink {
 public:
  // All its file work is done on `lane`, also what its end leaves to do.
  IndexSink(loop::Loop& loop, uint64_t lane, compat::IndexKey key, compat::IndexForm form, IndexPart part);
  ~IndexSink();
  IndexSink(const IndexSink&) = delete;
  IndexSink& operator=(const IndexSink&) = delete;

  loop::Writable& stream();
  // Called later, even when this is destroyed meanwhile.
  void keep(std::move_only_function<void(base::Result<>)> done);

 private:
  class File;
  loop::Loop& loop_;
  uint64_t lane_;
  std::shared_ptr<File> file_;  // shared with calls under way on workers
  std::unique_ptr<loop::Writable> stream_;
};

}  // namespace headrace::dump
