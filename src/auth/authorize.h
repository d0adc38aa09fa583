// Who may ask for what: the question that a responder asks before it starts a service. The rules
// (.amandahosts, host name checks) are given from above, since they live in files and name services.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "loop/net.h"

namespace headrace::auth {

// How and from where a request came.
struct Origin {
  std::string auth;                      // "bsdtcp"
  std::optional<loop::Address> address;  // absent for local and ssh
};

struct Question {
  Origin origin;
  std::string user;  // of the SECURITY line; "" when the auth has none
  std::string service;
};

// Answers later, with the peer's host name, or with an error whose text is the NAK's.
using Answer = std::move_only_function<void(base::Result<std::string>)>;

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  virtual void ask(Question question, Answer answer) = 0;
};

}  // namespace headrace::auth
