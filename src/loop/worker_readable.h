// A blocking source of bytes (files, volumes) as a Readable: each read() lends the caller's memory to a
// worker and answers `wait` until it is done. Owned by whoever reads; loop thread. Knows nothing of what the
// source reads; its contract is that of stream.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/alive.h"
#include "base/bytes.h"
#include "base/error.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::loop {

// Used on one worker at a time, and on the loop's thread only while no worker has it.
class BlockingSource {
 public:
  virtual ~BlockingSource() = default;
  // Up to into.size() bytes; 0 at the end. Not called again after the end or an error.
  virtual base::Result<size_t> read(base::MutableBytes into) = 0;
};

// Where a source goes when its stream is closed: `on_loop` before close_read() is back (unless a read was
// queued only), `on_lane` on the worker, behind what is out: for one whose end blocks or whose lane others
// share.
enum class SourceEnds : unsigned char { on_loop, on_lane };

class WorkerReadable : public Readable {
 public:
  // `name` stands in the error of a closed stream: "the holding image".
  WorkerReadable(Loop& loop, uint64_t lane, std::shared_ptr<BlockingSource> source, std::string name,
                 SourceEnds ends);
  ~WorkerReadable() override;
  WorkerReadable(const WorkerReadable&) = delete;
  WorkerReadable& operator=(const WorkerReadable&) = delete;

  IoResult read(base::MutableBytes into) final;
  void await_readable(Ready ready) final;
  base::Error error() const final;
  void close_read() final;
  // Why the source failed, if it did; closing is no failure of it.
  const std::optional<base::Error>& failure() const { return failure_; }

 protected:
  // Before the first read: other work with the source, such as opening it. As Lane::run(); no read() until
  // `done`, which is not called after close_read().
  void run_first(Callback work, Callback done);
  // Every read from now on fails.
  void fail(base::Error why);

 private:
  enum class State : unsigned char { idle, reading, moved, end, failed, closed };
  void start_reading(base::MutableBytes into);
  void call_ready();

  Loop& loop_;
  std::shared_ptr<BlockingSource> source_;  // shared with the worker, which may outlive this object
  const std::string name_;
  const SourceEnds ends_;
  Lane lane_;
  State state_ = State::idle;
  size_t moved_bytes_ = 0;
  std::optional<base::Error> failure_;
  Ready ready_;
  base::Alive alive_;
};

}  // namespace headrace::loop
