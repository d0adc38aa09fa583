// A request about disks as the client's services see it: parsed, with the configuration it names. Reads the
// client's configuration files (small; blocking).
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "client/context.h"
#include "config/client_config.h"
#include "exchange/service.h"
#include "wire/dle_request.h"

namespace headrace::client {

struct ClientRequest {
  wire::DleRequest wire;
  wire::FeatureSet peer;  // of the requester
  std::string hostname;   // as the requester calls us, byte for byte; state files are named with it
  config::ClientConfig config;
};

// The error's text is what belongs after "ERROR " in the reply.
base::Result<ClientRequest> read_request(const ClientContext& context,
                                         const exchange::ServiceRequest& request, wire::DleFor purpose);

// The requester's features, as far as a request that cannot be read tells them.
wire::FeatureSet peer_features(const exchange::ServiceRequest& request);

// "[client configured for auth=X while server requested 'Y']", when the DLE asks for another auth than the
// one the request came by.
std::optional<std::string> auth_mismatch(const exchange::ServiceRequest& request, const wire::Dle& dle);

// The first features this client has not got (compression, encryption, scripts…) that the DLE's data would
// depend on, as a sentence.
std::optional<std::string> unsupported(const wire::Dle& dle);

// The application's properties: the server's, with those of the same-named definition of our own
// configuration, if the server names one. Refused when there is none of that name.
base::Result<std::vector<wire::Property>> application_properties(const wire::Dle& dle,
                                                                 const config::ClientConfig& config);

}  // namespace headrace::client
