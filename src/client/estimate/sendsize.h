// The sendsize service: estimates how large DLEs would be at the levels asked for, by running tar without
// writing. Several DLEs at once as far as the request allows, never two of one spindle. Owned by the
// responder; destroying it ends the children.
#pragma once

#include <memory>

#include "client/context.h"
#include "exchange/service.h"

namespace headrace::client {

std::unique_ptr<exchange::Service> make_sendsize(const ClientContext& context, exchange::ServiceCall& call);

}  // namespace headrace::client
