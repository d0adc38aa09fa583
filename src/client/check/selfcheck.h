// The selfcheck service: tells the server what would keep the DLEs it names from being dumped. Looks at files
// on a worker thread; changes nothing.
#pragma once

#include <memory>

#include "client/context.h"
#include "exchange/service.h"

namespace headrace::client {

std::unique_ptr<exchange::Service> make_selfcheck(const ClientContext& context, exchange::ServiceCall& call);

}  // namespace headrace::client
