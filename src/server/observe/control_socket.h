// The file of a control socket: made, reached, removed. Blocking but instant file calls; inside of this room.
// A path longer than sockaddr_un takes is reached through its directory's descriptor, /proc/self/fd/N/NAME.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace headrace::observe {

// A listening socket of mode 0600 that belongs to the directory's owner; nonblocking.
base::Result<base::Fd> listen_at(const std::filesystem::path& path);
// A nonblocking connection. Refused when nobody listens there, or may not be asked by us.
base::Result<base::Fd> connect_to(const std::filesystem::path& path);
// Whether whoever is at the other end may talk: root, our own user, or `owner`.
bool peer_may_talk(int socket, uid_t owner);
// Removes the sockets of runs whose journal nobody writes any more.
void remove_dead_sockets(const std::filesystem::path& logdir);

}  // namespace headrace::observe
