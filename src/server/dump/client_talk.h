// The short talks with a client: its features (noop), then one request with a text reply (selfcheck,
// sendsize), all on one connection. Owned by who asks; destroying it cancels. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "auth/connect.h"
#include "base/error.h"
#include "exchange/requester.h"
#include "loop/loop.h"
#include "wire/features.h"

namespace headrace::dump {

class ClientTalk {
 public:
  using Features = std::move_only_function<void(base::Result<wire::FeatureSet>)>;
  using Reply = std::move_only_function<void(base::Result<std::string>)>;
  using Partial = std::move_only_function<void(const std::string&)>;

  // Borrows loop and connector. `noop_times.reply_timeout` is ctimeout.
  ClientTalk(loop::Loop& loop, auth::Connector& connector, auth::Peer peer, std::string dump_user,
             exchange::RequestTimes noop_times);
  ~ClientTalk();
  ClientTalk(const ClientTalk&) = delete;
  ClientTalk& operator=(const ClientTalk&) = delete;

  // Connects and asks for the features. A client too old for noop has the default ones.
  void greet(Features features);
  // After greet(): one service request. One at a time.
  void ask(std::string service, std::string arguments, exchange::RequestTimes times, Partial partial,
           Reply reply);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::dump
