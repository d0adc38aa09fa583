#include "auth/datagram/carrier.h"

#include <fmt/format.h>

#include <utility>

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

namespace {

class ConnectFromRange : public loop::Operation {
 public:
  ConnectFromRange(loop::Loop& loop, const loop::Address& to, loop::PortRange range, loop::ConnectDone done)
      : done_(std::move(done)) {
    loop::ConnectOptions options;
    options.source_port_low = range.low;
    options.source_port_high = range.high;
    step_ = loop::connect_tcp(loop, {to}, options, [this, &loop, to](base::Result<base::Fd> connection) {
      if (!connection && connection.error().kind() == ErrorKind::again) {
        step_ = loop::connect_tcp(loop, {to}, {}, std::move(done_));
        return;
      }
      auto done = std::move(done_);
      done(std::move(connection));
    });
  }

 private:
  loop::ConnectDone done_;
  std::unique_ptr<loop::Operation> step_;
};

}  // namespace

std::unique_ptr<loop::Operation> ConnectingCarrier::connect(uint32_t number, loop::ConnectDone done) {
  if (number == 0 || number > UINT16_MAX) {
    done(base::fail(ErrorKind::corrupt, fmt::format("the peer named stream {}, which is no port", number)));
    return nullptr;
  }
  loop::Address to = peer_;
  to.set_port(static_cast<uint16_t>(number));
  return std::make_unique<ConnectFromRange>(loop_, to, range_, std::move(done));
}

}  // namespace headrace::auth
