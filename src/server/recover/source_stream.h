// An ImageSource as a Readable: each read is lent to a worker. Owned by the restore of its image; loop
// thread.
#pragma once

#include <memory>
#include <optional>

#include "base/error.h"
#include "flow/alive.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "server/recover/image_source.h"

namespace headrace::recover {

class SourceStream final : public loop::Readable {
 public:
  SourceStream(loop::Loop& loop, std::unique_ptr<ImageSource> source);
  ~SourceStream() override;
  SourceStream(const SourceStream&) = delete;
  SourceStream& operator=(const SourceStream&) = delete;

  // Before the first read: opens the source. `done` is not called after close_read().
  void open(std::move_only_function<void(base::Result<wire::DumpHeader>)> done);
  // Why reading failed, if it did.
  const std::optional<base::Error>& failure() const { return failure_; }

  loop::IoResult read(base::MutableBytes into) override;
  void await_readable(loop::Ready ready) override;
  base::Error error() const override;
  void close_read() override;

 private:
  enum class State : unsigned char { idle, reading, moved, end, failed, closed };
  void call_ready();

  loop::Loop& loop_;
  std::shared_ptr<ImageSource> source_;  // shared with the worker, which may outlive this object
  loop::Lane lane_;
  State state_ = State::idle;
  size_t moved_bytes_ = 0;
  std::optional<base::Error> failure_;
  loop::Ready ready_;
  flow::Alive alive_;
};

}  // namespace headrace::recover
