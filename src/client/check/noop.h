// The noop service: tells our features. Servers ask it first.
#pragma once

#include <memory>

#include "exchange/service.h"

namespace headrace::client {

std::unique_ptr<exchange::Service> make_noop(exchange::ServiceCall& call);

}  // namespace headrace::client
