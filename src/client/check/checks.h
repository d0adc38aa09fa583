// The single checks of selfcheck, each a function from what it looks at to messages. Blocking: on a worker
// thread. Codes and texts are Amanda's where it has one, so that either client's answers read alike.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "client/request.h"
#include "wire/selfcheck.h"

namespace headrace::client {

using CheckMessages = std::vector<wire::CheckMessage>;

enum class Access { exists, readable, executable, read_write };

// Whether this process may use `path` so.
wire::CheckMessage check_access(const std::filesystem::path& path, Access access);

// What must be free on a file system for small files of ours.
inline constexpr uint64_t kMinimumKib = 64;
wire::CheckMessage check_space(const std::filesystem::path& directory, const std::string& hostname);

// Who we are: version, distribution, platform, features.
CheckMessages describe_host(const std::string& hostname);
// That the request came the way the DLE wants it.
CheckMessages check_auth(const exchange::ServiceRequest& call, const ClientRequest& request,
                         const wire::Dle& dle);
// All about one DLE: its directory, lists, programs, state files.
CheckMessages check_dle(const ClientContext& context, const ClientRequest& request, const wire::Dle& dle);
// What every dump needs.
CheckMessages check_host(const ClientContext& context, const ClientRequest& request);

}  // namespace headrace::client
