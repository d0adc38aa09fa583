// What connecting and accepting have in common. Inside of this room.
#pragma once

#include "loop/net.h"

namespace headrace::loop {

// TCP_NODELAY and keep-alive. Buffer sizes are left to the kernel, whose tuning setting them would end.
void set_stream_options(int socket);
// An IPv4 address in IPv6 clothes as the IPv4 address it is; others as they are.
Address without_mapping(const Address& address);
// The other way: an IPv4 address in IPv6 clothes, for a socket of that family.
Address with_mapping(const Address& address);

}  // namespace headrace::loop
