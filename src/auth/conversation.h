// What every way to reach a peer offers: conversations that carry packets, and the streams a reply opens.
// Used by exchange/ on the loop's thread. An implementation is free in how bytes travel (frames on one
// connection, UDP plus a TCP connection a stream).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "loop/stream.h"
#include "wire/packet.h"

namespace headrace::auth {

using StreamReady = std::move_only_function<void(base::Result<std::unique_ptr<loop::Duplex>>)>;

// One exchange of packets. Destroying it closes it towards the peer; streams it opened live on.
class Conversation {
 public:
  virtual ~Conversation() = default;
  virtual base::Result<> send(const wire::Packet& packet) = 0;
  // Each packet that arrives; an error, once and last, when the path to the peer is gone. Never called from
  // inside another call.
  using Received = std::move_only_function<void(base::Result<wire::Packet>)>;
  virtual void on_packet(Received received) = 0;

  // Responder: makes a stream and returns the number for the CONNECT line, then, once the reply is
  // acknowledged, waits for the initiator to connect it.
  virtual base::Result<uint32_t> offer_stream() = 0;
  virtual void accept_stream(uint32_t number, StreamReady ready) = 0;
  // Initiator: opens the stream that the CONNECT line names by this number.
  virtual void open_stream(uint32_t number, StreamReady ready) = 0;
};

// A way to one peer on which the initiator may hold any number of conversations.
class Path {
 public:
  virtual ~Path() = default;
  virtual std::unique_ptr<Conversation> begin() = 0;
  // Whether a REQ opens with "SECURITY USER x".
  virtual bool names_user() const = 0;
  // The socket, for TCP_INFO; -1 when there is none.
  virtual int native_fd() const { return -1; }
};

}  // namespace headrace::auth
