// bsdtcp: one TCP connection from a reserved port carries packets and streams as frames. Both ends.
#pragma once

#include <memory>

#include "auth/connect.h"
#include "auth/mux/mux_connection.h"

namespace headrace::auth {

[[nodiscard]] std::unique_ptr<loop::Operation> connect_bsdtcp(loop::Loop& loop, Peer peer, PathReady ready);

// The initiator's view of a framed connection, also for local.
std::unique_ptr<Path> path_over_mux(std::shared_ptr<MuxConnection> mux, bool names_user, int native_fd);

}  // namespace headrace::auth
