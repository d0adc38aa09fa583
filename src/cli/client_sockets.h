// Where a client listens and what it was handed: the words of --auth and --listen, and the sockets that
// inetd, xinetd or systemd pass on. Looks at descriptors, opens none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loop/net.h"

namespace headrace::cli {

// bsd and bsdudp: requests come as datagrams.
bool is_udp_auth(std::string_view auth);
// local and ssh: one connection, on standard input and output.
bool is_pipe_auth(std::string_view auth);
// Lower case; refused with the auths there are when it is none that a client serves.
base::Result<std::string> served_auth(std::string_view word);

struct ListenAt {
  std::string auth;
  loop::Address address;
};
// "[AUTH:][ADDRESS][:PORT]"; without AUTH once for each of `auths`, which are as served_auth() gives them.
base::Result<std::vector<ListenAt>> listen_at(const std::string& text, const std::vector<std::string>& auths);
// Refused when two of them would need the same socket: of UDP requests nothing tells bsd from bsdudp.
base::Result<> check_apart(const std::vector<ListenAt>& all);

enum class HandedKind {
  nothing,     // no socket
  connection,  // a TCP connection
  listener,    // a listening TCP socket
  datagrams,   // a bound UDP socket
};
HandedKind kind_of_descriptor(int fd);

struct HandedSocket {
  int fd = -1;
  std::string name;  // FileDescriptorName of the unit; may be an auth's
};
// By LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES; empty when they are not meant for us.
std::vector<HandedSocket> systemd_sockets();

// Which auth a socket of this kind serves: its name's, else the first of `auths` that fits; empty: none does.
std::string auth_of(HandedKind kind, const std::string& name, const std::vector<std::string>& auths);

}  // namespace headrace::cli
