// The client's program: accepts requests and serves them, in one process for any number of them by any of the
// auths. Listens itself, or takes over the sockets that inetd, xinetd or systemd hands it, or speaks on its
// standard input and output for auth local. Counterpart: amandad.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct ClientOptions {
  std::vector<std::string> listen;  // "[AUTH:]ADDRESS:PORT"; empty: what we were handed, else 0.0.0.0:10080
  std::vector<std::string> auths = {"bsdtcp"};
  std::vector<std::string> services;  // empty: noop selfcheck sendsize sendbackup
  std::string user = "backup";        // the dump user: whose .amandahosts counts
  std::string amandahosts;            // another file than ~user/.amandahosts
  std::string config_dir = "/etc/amanda";
  std::string gnutar = "/bin/tar";
  std::string tmp_dir = "/tmp";
  bool stay = false;  // do not end when idle, even if inetd started us
};

int client(const ClientOptions& options);

// As `amandad`, with its arguments: -auth=X, -no-exit, -tcp=PORT, -udp=PORT, services.
int amandad(int argc, char** argv);

}  // namespace headrace::cli
