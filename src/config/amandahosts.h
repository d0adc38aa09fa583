// .amandahosts: who may ask this host for which services. Pure, but for check_amandahosts_file.
// Source: amandahosts(5), observed with Amanda 3.5.1.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::config {

struct AmandaHost {
  std::string host;
  std::string user;                   // empty: the local dump user
  std::vector<std::string> services;  // empty: those of "amdump"
  int line = 0;
};

// Never fails: a line without a host is a comment.
std::vector<AmandaHost> parse_amandahosts(std::string_view text);

// A request to be allowed or not.
struct AccessRequest {
  std::string peer_host;  // full name, as the reverse lookup gave it
  bool peer_is_loopback = false;
  std::string user;
  std::string service;
  std::string local_user;      // the dump user's name
  std::filesystem::path file;  // named in refusals
};

// Refused with Amanda's reason, for instance: Please add the line "H U amdump" to F on the client.
base::Result<> authorize(const std::vector<AmandaHost>& entries, const AccessRequest& request);

// The file's owner must be `uid` and nobody else may read it; refused with Amanda's reasons.
base::Result<> check_amandahosts_file(const std::filesystem::path& file, uid_t uid);
// check_amandahosts_file, then its text parsed.
base::Result<std::vector<AmandaHost>> read_amandahosts(const std::filesystem::path& file, uid_t uid);

}  // namespace headrace::config
