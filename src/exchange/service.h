// What a service is to the responder, and the responder to a service. A service lives as long as its request:
// it is made when the request is accepted and destroyed when it says finished() or the request is cancelled
// (peer gone, reply never acknowledged). Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "loop/stream.h"

namespace headrace::exchange {

struct ServiceRequest {
  std::string service;    // "sendbackup"
  std::string arguments;  // all after the SERVICE line
  std::string auth;       // "bsdtcp": how it came
  std::string peer_host;  // name the peer was granted under; "" when the auth has none
};

using Streams = std::vector<std::unique_ptr<loop::Duplex>>;

// The responder's side of one request, for its service. Outlives the service.
class ServiceCall {
 public:
  virtual ~ServiceCall() = default;
  virtual const ServiceRequest& request() const = 0;
  // All text known so far, as a PREP. Only for requesters that know partial replies (the service checks).
  virtual void reply_partial(std::string text) = 0;
  // The reply. Without streams the service may then call finished().
  virtual void reply(std::string text) = 0;
  // The reply, with streams: `names` in order, an empty string in place of `ids` for one that does not exist
  // ({"DATA","MESG","INDEX","STATE"} with `wanted` {true,true,false,true} gives "INDEX -1"). `text` follows
  // the CONNECT line and is not empty. When the requester has acknowledged and each stream is connected,
  // `opened` gets them in the order of names, null where not wanted; an error ends the request.
  struct StreamName {
    std::string name;
    bool wanted = true;
  };
  virtual void reply_with_streams(std::vector<StreamName> names, std::string text,
                                  std::move_only_function<void(base::Result<Streams>)> opened) = 0;
  // Refuses: NAK "ERROR text".
  virtual void refuse(std::string text) = 0;
  // Nothing more will come; the service is destroyed soon after, never from inside this call.
  virtual void finished() = 0;
};

class Service {
 public:
  virtual ~Service() = default;  // cancels: ends its children, closes its streams
  virtual void start() = 0;
};

// Makes the service for a request, or says why not (the text of the NAK).
using ServiceFactory = std::move_only_function<base::Result<std::unique_ptr<Service>>(ServiceCall&)>;

}  // namespace headrace::exchange
