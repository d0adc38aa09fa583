// Amanda's rules of who may ask a client for what, as the responder's Authorizer: reserved source port, a
// host name that resolves both ways, a line in .amandahosts. A peer whose name does not check hears nothing
// when it asked by a datagram. The file is read anew for each request, on a worker, so that a change counts
// at once. Loop thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>

#include "auth/authorize.h"
#include "client/access/peer_names.h"
#include "loop/loop.h"

namespace headrace::client {

struct AccessRules {
  std::filesystem::path amandahosts;
  std::string local_user;  // the dump user: owner of the file, and the user a line without one means
  uid_t local_uid = 0;
  gid_t local_gid = 0;
  std::string local_host;  // peer name of requests by auth local
};

// `check` is how a peer's name is found out and checked; empty: by the system's resolver.
std::unique_ptr<auth::Authorizer> make_authorizer(loop::Loop& loop, AccessRules rules,
                                                  PeerNames::Check check = {});

// The rules for this process: the dump user is `user` (an error when there is none such), its file is
// ~user/.amandahosts unless `file` names another.
base::Result<AccessRules> rules_for(const std::string& user, const std::filesystem::path& file);

}  // namespace headrace::client
