// One request seen from the initiator: sends the REQ, waits for ACK and REP with resends, acknowledges, and
// opens the streams that the reply names. Owned by who asks; destroying it cancels and nothing is called
// back. Loop thread. Timers and counts: Amanda 3.5's (ACK awaited 10 s, the REQ sent up to 3 times; a lost
// REP restarts the request up to twice within the hour).
//
//   start       ACK            REP
//   ────▶ asked ───▶ accepted ───▶ done      (REP straight from asked implies the ACK)
//          │  ▲ 10 s: resend │ reply_timeout: asked again, at most twice
//          ▼  └──────────────┘
//        failed: NAK, no ACK after all tries, no REP, path gone
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/conversation.h"
#include "base/error.h"
#include "loop/loop.h"

namespace headrace::exchange {

struct RequestTimes {
  base::Duration ack_timeout = std::chrono::seconds(10);
  int request_tries = 3;  // req-tries
  base::Duration reply_timeout = std::chrono::seconds(60);
  int restarts = 2;
};

class Requester {
 public:
  using Partial = std::move_only_function<void(const std::string& body)>;
  using Done = std::move_only_function<void(base::Result<std::string>)>;

  // `body` is the whole REQ body (wire::encode_request).
  Requester(loop::Loop& loop, std::unique_ptr<auth::Conversation> conversation, std::string body,
            RequestTimes times);
  ~Requester();
  Requester(const Requester&) = delete;
  Requester& operator=(const Requester&) = delete;

  // `partial` for each PREP; `done` once, with the REP's body. A NAK is an error of kind `refused` whose text
  // is the NAK's; timeouts are `again`; a lost path is `gone`.
  void start(Partial partial, Done done);

  // After the reply: opens the streams of these numbers in order (negative: none, gives null).
  using Opened = std::move_only_function<void(base::Result<std::vector<std::unique_ptr<loop::Duplex>>>)>;
  void open_streams(std::vector<int64_t> numbers, Opened opened);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::exchange
