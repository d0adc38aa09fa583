// A client's configuration: amanda-client.conf of the site, then that of one configuration. Plain values with
// every default filled in.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "config/diagnostic.h"
#include "config/dumptype.h"
#include "config/load.h"

namespace headrace::config {

struct ClientConfig {
  std::string conf;  // the configuration recovery asks for
  std::string amdump_server, index_server, tape_server, tapedev;
  std::string auth;  // as written; compare without case
  std::string ssh_keys, amandad_path, client_username, client_port;
  std::filesystem::path gnutar_list_dir;  // listed-incremental state
  std::filesystem::path amandates;
  std::string mailer;
  std::string hostname;  // the name in DLEs; empty: the system's
  std::string krb5keytab, krb5principal;
  std::chrono::seconds ctimeout{30};
  int64_t connect_tries = 3;
  int64_t req_tries = 3;
  int64_t rep_tries = 5;
  int64_t debug_days = 4;
  std::map<std::string, int64_t> debug;  // "amandad" → level 0…9
  PortRange reserved_udp_port, reserved_tcp_port, unreserved_tcp_port;
  std::filesystem::path ssl_dir;
  Ssl ssl;
  Properties properties;
  std::map<std::string, Application> applications;
  std::map<std::string, Script> scripts;

  Settings settings;

  // Names of definitions compare without case. nullptr: none of that name.
  const Application* application(std::string_view name) const;
  const Script* script(std::string_view name) const;
};

// Reads `config_dir`/amanda-client.conf, then `config_dir`/`conf`/amanda-client.conf over it; either may be
// missing, and `conf` may be empty. `config_dir` is /etc/amanda on Debian.
Loaded<ClientConfig> load_client(const std::filesystem::path& config_dir, std::string_view conf,
                                 std::span<const Override> overrides = {});

}  // namespace headrace::config
