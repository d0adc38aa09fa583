// What every way to reach a peer offers: conversations that carry packets, and the streams a reply opens.
// Used by exchange/ on the loop's thread. An implementation is free in how bytes travel (frames on one
// connection, UDP plus a TCP connection a stream).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "loop/net.h"
#include "loop/stream.h"
#include "wire/packet.h"

namespace headrace::auth {

using StreamReady = std::move_only_function<void(base::Result<std::unique_ptr<loop::Duplex>>)>;

// One exchange of packets. Destroying it closes it towards the peer; streams it opened live on.
class Conversation {
 public:
  virtual ~Conversation() = default;
  virtual base::Result<> send(const wire::Packet& packet) = 0;
  // Each packet that arrives; an error, once and last, when the path to the peer is gone. A responder also
  // gets one of kind cancelled when the peer ends this conversation alone: its streams go on. Never called
  // from inside another call.
  using Received = std::move_only_function<void(base::Result<wire::Packet>)>;
  virtual void on_packet(Received received) = 0;

  // Whom it is with, where conversations with many peers come by one way (a UDP socket).
  virtual std::optional<loop::Address> peer() const { return std::nullopt; }

  // Responder: makes streams and gives their numbers for the CONNECT line, then, once the reply is
  // acknowledged, waits for the initiator to connect each; several may be waited for at once. Either may call
  // back from inside.
  using Offered = std::move_only_function<void(base::Result<std::vector<uint32_t>>)>;
  virtual void offer_streams(size_t count, Offered offered) = 0;
  virtual void accept_stream(uint32_t number, StreamReady ready) = 0;
  // Initiator: opens the stream that the CONNECT line names by this number.
  virtual void open_stream(uint32_t number, StreamReady ready) = 0;
};

// Where the conversations that peers begin come from: a framed connection, a UDP socket.
class Arrivals {
 public:
  virtual ~Arrivals() = default;
  // `opened` gets each conversation that a peer begins, with its first packet already queued; `closed` is
  // called once when nothing more will come (error says why; a proper end gives success). The caller must
  // keep it until then.
  using Opened = std::move_only_function<void(std::unique_ptr<Conversation>)>;
  using Closed = std::move_only_function<void(base::Result<>)>;
  virtual void serve(Opened opened, Closed closed) = 0;
  // Whether it goes on by itself, so that nobody need stay for its end.
  virtual bool is_lasting() const { return false; }
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
