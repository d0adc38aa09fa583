// Byte streams without blocking, the one shape of everything that moves dump data: sockets, pipes,
// multiplexed frames, holding files, volume parts. Used on the loop's thread only. An implementation may work
// on another thread behind this interface; a caller never sees it.
//
// Contract, tested by one suite on every implementation:
//  - read() and write() never block. `wait` means: nothing was done now; ask await_*() and try again.
//  - While a stream has answered `wait` to read()/write(), the next call must offer the same memory (or be
//    preceded by close()): an implementation may be using it from another thread meanwhile. This is what
//    lets file streams work without copying. Streams that say reads_at_once(), writes_at_once() do not: they
//    have no use for memory once they have answered.
//  - await_*() takes one callback, called once, never from inside await_*() or read()/write(). A later
//    await_*() of the same direction replaces it. close() drops it uncalled.
//  - `end` is sticky, `failed` is sticky; error() then says why.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <functional>
#include <span>

#include "base/bytes.h"
#include "base/error.h"

namespace headrace::loop {

enum class IoState : unsigned char { moved, wait, end, failed };

struct IoResult {
  IoState state = IoState::wait;
  size_t bytes = 0;  // > 0 exactly when moved
};

using Ready = std::move_only_function<void()>;

class Readable {
 public:
  virtual ~Readable() = default;
  // Reads up to into.size() (> 0) bytes.
  virtual IoResult read(base::MutableBytes into) = 0;
  virtual void await_readable(Ready ready) = 0;
  // After `failed`: what happened. Undefined before.
  virtual base::Error error() const = 0;
  // Gives the stream up; nothing is called back afterwards. Idempotent.
  virtual void close_read() = 0;
  virtual bool reads_at_once() const { return false; }
  // A descriptor splice(2) may read from, or -1 when bytes are not simply there (frames, files on workers).
  virtual int splice_fd() const { return -1; }
};

class Writable {
 public:
  virtual ~Writable() = default;
  // Takes as much of the pieces as it can at once, in order; pieces are not empty.
  virtual IoResult write(std::span<const iovec> pieces) = 0;
  virtual void await_writable(Ready ready) = 0;
  virtual base::Error error() const = 0;
  // Says that no more will come. `done` gets the outcome when everything written is where it belongs (sent,
  // or on disk and renamed); it is the only proof that the data is safe. Called later, never from inside.
  virtual void finish(std::move_only_function<void(base::Result<>)> done) = 0;
  // Gives the stream up without finishing: what was written counts as incomplete. Nothing is called back.
  virtual void abandon() = 0;
  virtual bool writes_at_once() const { return false; }
  virtual int splice_fd() const { return -1; }
};

// Both directions of one connection or channel.
class Duplex : public Readable, public Writable {
 public:
  base::Error error() const override = 0;
  int splice_fd() const override { return -1; }
  // The descriptor the bytes finally travel through, also beneath frames: for asking the kernel about it
  // (tcp_info.h), never for moving bytes. -1 when there is none.
  virtual int native_fd() const { return -1; }
};

}  // namespace headrace::loop
