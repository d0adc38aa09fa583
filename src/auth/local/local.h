// local: the client program runs as our child and speaks frames on its standard input and output. No network,
// no SECURITY line, no host checks; only for hosts whose address is one of this machine's.
#pragma once

#include <memory>

#include "auth/connect.h"

namespace headrace::auth {

[[nodiscard]] std::unique_ptr<loop::Operation> connect_local(loop::Loop& loop, Peer peer, PathReady ready);

}  // namespace headrace::auth
