// An ImageSource as a Readable. Owned by the restore of its image; loop thread.
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "loop/loop.h"
#include "loop/worker_readable.h"
#include "server/recover/image_source.h"

namespace headrace::recover {

class SourceStream final : public loop::WorkerReadable {
 public:
  SourceStream(loop::Loop& loop, std::unique_ptr<ImageSource> source);

  // Once, before the first read: opens the source. `done` is not called after close_read().
  void open(std::move_only_function<void(base::Result<wire::DumpHeader>)> done);

 private:
  SourceStream(loop::Loop& loop, std::shared_ptr<ImageSource> source);

  std::weak_ptr<ImageSource> source_;  // gone when closed
};

}  // namespace headrace::recover
