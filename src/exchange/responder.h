// The receiving end of requests: authorises each, starts its service, and carries the replies with resends
// until they are acknowledged. One responder serves any number of requests on any number of connections at
// once. Owned by main; outlives what it is given. Loop thread. Timers: Amanda 3.5's (REP resent after 10 s, 5
// sends in all).
//
//   REQ          allowed        service replied         ACK
//   ──▶ asking ────────▶ serving ──────────▶ replied ─────────▶ streaming / over
//         │ refused: NAK    │ peer gone            │ 5 sends unanswered
//         ▼                 ▼                      ▼
//        over ◀──────────── over (service destroyed, its children with it)
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "auth/authorize.h"
#include "auth/conversation.h"
#include "exchange/service.h"
#include "loop/loop.h"

namespace headrace::exchange {

struct ResponderTimes {
  base::Duration ack_timeout = std::chrono::seconds(10);
  int reply_tries = 5;  // rep-tries
  base::Duration service_reply_timeout = std::chrono::hours(6);
};

// Of requests under way, all connections together; who comes on top of that is told to come again.
inline constexpr size_t kMaxHeldRequestBytes = size_t{16} << 20U;

class Responder {
 public:
  Responder(loop::Loop& loop, auth::Authorizer& authorizer, ServiceFactory factory,
            ResponderTimes times = {});
  ~Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  // Serves all conversations that come this way. When a connection ends, its requests are cancelled. Where
  // conversations have peers of their own, the origin's address is theirs.
  void serve(std::shared_ptr<auth::Arrivals> arrivals, auth::Origin origin);
  // Requests in progress.
  size_t active() const;
  // Ways that will come to an end; a UDP socket is none.
  size_t connections() const;
  // Called whenever the last connection has gone and nothing is being served.
  void on_idle(std::move_only_function<void()> callback);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::exchange
