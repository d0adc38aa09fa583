// Descriptor streams: a nonblocking pipe or socket as Duplex. Owns the descriptor.
#pragma once

#include <memory>

#include "base/fd.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::loop {

enum class FdKind { pipe, socket };

// `fd` is made nonblocking. finish() of a socket shuts down its sending side, of a pipe closes it; in both
// cases `done` follows at once, since the kernel has taken everything by then.
base::Result<std::unique_ptr<Duplex>> make_fd_stream(Loop& loop, base::Fd fd, FdKind kind);

}  // namespace headrace::loop
