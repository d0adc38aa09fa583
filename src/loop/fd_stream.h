// Descriptor streams: a nonblocking pipe or socket as Duplex. Owns the descriptor and closes it once both
// directions are given up or the stream is destroyed.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::loop {

enum class FdKind { pipe, socket };

// `fd` is made nonblocking. finish() of a socket shuts down its sending side, of a pipe closes it; in both
// cases `done` follows at once, since the kernel has taken everything by then. abandon() looks the same to
// the peer: that what it got is complete must be said by the protocol above. Closing a socket that has unread
// bytes resets the connection. `name` is what errors call it; empty: "pipe" or the peer's address.
base::Result<std::unique_ptr<Duplex>> make_fd_stream(Loop& loop, base::Fd fd, FdKind kind,
                                                     std::string name = {});

}  // namespace headrace::loop
