// Amanda's check that a peer is who its address says: the reverse name must resolve back to the address. Done
// on the resolver's threads, answered on the loop's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "loop/net.h"

namespace headrace::auth {

// Gives the peer's name. Destroying the operation cancels.
[[nodiscard]] std::unique_ptr<loop::Operation> check_host(
    loop::Loop& loop, loop::Address address, std::move_only_function<void(base::Result<std::string>)> done,
    loop::LookupFor whom = loop::LookupFor::ourselves);

}  // namespace headrace::auth
