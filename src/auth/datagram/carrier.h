// How the streams of a conversation by datagrams travel: what bsd and bsdudp differ in. One a conversation,
// made when it begins; destroying it closes whatever of its streams was not taken up. Loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "auth/conversation.h"
#include "loop/loop.h"
#include "loop/net.h"

namespace headrace::auth {

class Carrier {
 public:
  virtual ~Carrier() = default;
  // As those of Conversation.
  virtual void offer(size_t count, Conversation::Offered offered) = 0;
  virtual void accept(uint32_t number, StreamReady ready) = 0;
  virtual void open(uint32_t number, StreamReady ready) = 0;
};

// The responder's half; streams are opened by the other end.
class AcceptingCarrier : public Carrier {
 public:
  void open(uint32_t number, StreamReady ready) final;
};

// The initiator's half: how it connects to a port that the reply names.
class ConnectingCarrier : public Carrier {
 public:
  // Source ports come from `range`; when all of it is in use (by a client on this same machine, say, that
  // awaits its streams there), the kernel chooses.
  ConnectingCarrier(loop::Loop& loop, loop::PortRange range, const loop::Address& peer)
      : loop_(loop), range_(range), peer_(peer) {}
  void offer(size_t count, Conversation::Offered offered) final;
  void accept(uint32_t number, StreamReady ready) final;

 protected:
  // Null when the number is no port; `done` has then been told.
  [[nodiscard]] std::unique_ptr<loop::Operation> connect(uint32_t number, loop::ConnectDone done);
  loop::Loop& loop_;

 private:
  const loop::PortRange range_;
  const loop::Address peer_;
};

// For a conversation with `peer`. `connected` is to be called once when the peer has connected the first of
// the offered streams: it must have got the reply that names them, whatever became of its ACK.
using MakeCarrier =
    std::move_only_function<std::unique_ptr<Carrier>(const loop::Address& peer, loop::Callback connected)>;

}  // namespace headrace::auth
