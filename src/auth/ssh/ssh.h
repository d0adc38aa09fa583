// ssh: the system's ssh runs the client program on the client; its standard input and output carry the
// frames. No SECURITY line, no host checks, no reserved ports: who may log in is sshd's business. Both ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auth/child/child_transport.h"
#include "auth/connect.h"
#include "loop/net.h"

namespace headrace::auth {

[[nodiscard]] std::unique_ptr<loop::Operation> connect_ssh(loop::Loop& loop, Peer peer, PathReady ready);

// argv as Amanda runs it. Error refused: a host that ssh would take for an option.
base::Result<std::vector<std::string>> ssh_command(const Peer& peer);

// What to do about ssh's last words.
Meaning explain_ssh(std::string_view words);

// Responder: the server's address, from sshd's SSH_CONNECTION (null when it is not set). Error refused: we
// were not started by sshd.
base::Result<loop::Address> peer_of_ssh_connection(const char* ssh_connection);

}  // namespace headrace::auth
