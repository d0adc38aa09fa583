#include "auth/ssh/ssh.h"

#include <fmt/format.h>

#include <charconv>

#include "auth/bsdtcp/bsdtcp.h"
#include "base/alive.h"

namespace headrace::auth {

namespace {

using base::ErrorKind;
using base::Result;

constexpr const char* kSsh = "/usr/bin/ssh";
// Where Debian's Amanda has it, and what stands in its place.
constexpr const char* kAmandad = "/usr/lib/amanda/amandad";
// Who logs in when the dumptype names nobody.
constexpr const char* kDumpUser = "backup";

Result<std::unique_ptr<Path>> start(loop::Loop& loop, const Peer& peer) {
  auto command = ssh_command(peer);
  if (!command) return std::unexpected(std::move(command).error());
  ChildPeer child;
  child.name = "ssh to " + peer.host;
  child.program = kSsh;
  child.arguments = std::move(*command);
  child.environment = environment_with({"HOME", "USER", "LOGNAME", "TZ", "SSH_AUTH_SOCK"});
  child.explain = explain_ssh;
  auto transport = run_as_transport(loop, std::move(child));
  if (!transport) return std::unexpected(std::move(transport).error());
  return path_over_mux(make_mux(loop, std::move(*transport), End::initiator), false, -1);
}

class Starting : public loop::Operation {
 public:
  Starting(loop::Loop& loop, Peer peer, PathReady ready) {
    loop.post([&loop, alive = alive_.ref(), peer = std::move(peer), ready = std::move(ready)]() mutable {
      if (!alive.expired()) ready(start(loop, peer));
    });
  }

 private:
  base::Alive alive_;
};

}  // namespace

std::unique_ptr<loop::Operation> connect_ssh(loop::Loop& loop, Peer peer, PathReady ready) {
  return std::make_unique<Starting>(loop, std::move(peer), std::move(ready));
}

Result<std::vector<std::string>> ssh_command(const Peer& peer) {
  if (peer.host.starts_with('-')) {
    return base::fail(ErrorKind::refused,
                      fmt::format("\"{}\" is no host that ssh could be asked for", peer.host));
  }
  std::vector<std::string> command = {"ssh", "-x", "-o", "BatchMode=yes", "-l"};
  command.push_back(peer.client_username.empty() ? kDumpUser : peer.client_username);
  if (peer.port != 0) command.insert(command.end(), {"-p", std::to_string(peer.port)});
  if (!peer.ssh_keys.empty()) command.insert(command.end(), {"-i", peer.ssh_keys});
  command.push_back(peer.host);
  command.push_back(peer.amandad_path.empty() ? kAmandad : peer.amandad_path);
  command.emplace_back("-auth=ssh");
  return command;
}

Meaning explain_ssh(std::string_view words) {
  struct Known {
    std::string_view part;
    Meaning meaning;
  };
  const Known known[] = {
      {"Permission denied (",
       {ErrorKind::refused,
        "does the key that ssh-keys names stand in ~/.ssh/authorized_keys of client-username on the "
        "client?"}},
      {"has changed and you have requested strict checking",
       {ErrorKind::refused,
        "if the client was installed anew, take its former key out of known_hosts; else find out who answers "
        "in "
        "its place"}},
      {"Host key verification failed",
       {ErrorKind::refused,
        "put the client's host key into /etc/ssh/ssh_known_hosts, or log in once by hand as the user that "
        "runs "
        "the server"}},
      {"account is currently not available",
       {ErrorKind::refused, "give the user that client-username names a shell on the client"}},
      {"not found", {ErrorKind::refused, "amandad-path must name the client program on the client"}},
      {"No such file or directory",
       {ErrorKind::refused, "amandad-path must name the client program on the client"}},
      {"Connection refused",
       {ErrorKind::gone, "does sshd listen there, on the port that client-port names?"}},
  };
  for (const Known& one : known) {
    if (words.find(one.part) != words.npos) return one.meaning;
  }
  return {};
}

Result<loop::Address> peer_of_ssh_connection(const char* ssh_connection) {
  if (ssh_connection == nullptr) {
    return base::fail(ErrorKind::refused,
                      "SSH_CONNECTION is not set: auth ssh is for a client that sshd starts");
  }
  // "10.0.0.2 53510 10.0.0.10 22"
  const std::string_view text(ssh_connection);
  const size_t host_end = text.find(' ');
  uint16_t port = 0;
  if (host_end != text.npos) std::from_chars(text.data() + host_end + 1, text.data() + text.size(), port);
  auto address = loop::Address::parse(std::string(text.substr(0, host_end)), port);
  if (!address) {
    return base::fail(ErrorKind::refused,
                      fmt::format("SSH_CONNECTION is \"{}\", which begins with no address", text));
  }
  return address;
}

}  // namespace headrace::auth
