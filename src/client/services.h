// The services a client offers, made on request: noop, selfcheck, sendsize, sendbackup. Handed to the
// responder by main.
#pragma once

#include <set>
#include <string>

#include "client/context.h"
#include "exchange/service.h"

namespace headrace::client {

// Names of all services of this wing.
std::set<std::string> all_services();

// "amdump" in `enabled` stands for all of these services, and so does an empty set. Of a request for a
// service that is not `enabled`, or not known: the text of the NAK. The context outlives the factory and
// every service it makes.
exchange::ServiceFactory make_factory(const ClientContext& context, std::set<std::string> enabled);

}  // namespace headrace::client
