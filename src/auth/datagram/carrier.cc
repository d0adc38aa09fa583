#include "auth/datagram/carrier.h"

#include <fmt/format.h>

namespace headrace::auth {

using base::ErrorKind;

void AcceptingCarrier::open(uint32_t, StreamReady ready) {
  ready(base::fail(ErrorKind::unsupported, "a responder opens no streams"));
}

void ConnectingCarrier::offer(size_t, Conversation::Offered offered) {
  offered(base::fail(ErrorKind::unsupported, "an initiator offers no streams"));
}

void ConnectingCarrier::accept(uint32_t, StreamReady ready) {
  ready(base::fail(ErrorKind::unsupported, "an initiator accepts no streams"));
}

std::unique_ptr<loop::Operation> ConnectingCarrier::connect(uint32_t number, loop::ConnectDone done) {
  if (number == 0 || number > UINT16_MAX) {
    done(base::fail(ErrorKind::corrupt, fmt::format("the peer named stream {}, which is no port", number)));
    return nullptr;
  }
  loop::Address to = peer_;
  to.set_port(static_cast<uint16_t>(number));
  loop::ConnectOptions options;
  options.source_port_low = range_.low;
  options.source_port_high = range_.high;
  return loop::connect_tcp(loop_, {to}, options, std::move(done));
}

}  // namespace headrace::auth
