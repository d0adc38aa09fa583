// Who may ask for what: the question that a responder asks before it starts a service. The rules
// (.amandahosts, host name checks) are given from above, since they live in files and name services.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "loop/net.h"

namespace headrace::auth {

// How and from where a request came.
struct Origin {
  std::string auth;                      // "bsdtcp"
  std::optional<loop::Address> address;  // absent for local and ssh
  std::string host = {};                 // ssh: the server's name, as far as sshd lets us find it out
};

struct Question {
  Origin origin;
  std::string user;  // of the SECURITY line; "" when the auth has none
  std::string service;
};

// Why not. The text is the NAK's, unless the peer is to hear nothing: a datagram can claim to come from
// anybody, and an answer would go to whom it named.
struct Denial {
  Denial(base::Error error, bool is_silent = false) : why(std::move(error)), silent(is_silent) {}
  base::Error why;
  bool silent;
};

// Answers later, with the peer's host name.
using Answer = std::move_only_function<void(std::expected<std::string, Denial>)>;

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  virtual void ask(Question question, Answer answer) = 0;
};

}  // namespace headrace::auth
