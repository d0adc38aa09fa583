// One connection that carries packets and streams as frames (length, handle, payload), for either end. Shared
// (shared_ptr) by the conversations and streams on it: the connection closes when the last of them is gone,
// as the protocol wants. Loop thread. Format: wire/frame.h.
//
// No window exists per stream, so to stop one stream is to stop the connection. The invariant that rules out
// deadlock: all streams of a connection belong to one dump, and each one's consumer drains into something
// that needs nothing further from this connection (a file, a bounded text queue). Then a connection paused
// for a full stream goes on as soon as that consumer has written. Reading is paused in one place,
// Mux::read_piece(), which checks that it may; mux_invariant_test.cc has readers of every habit.
//
// Bounds: kStreamQueueBytes a stream beyond what its reader has offered, one control packet of kMaxFrameBytes
// under way, kMaxWaitingPackets of packets not yet delivered (more, and reading pauses), one frame's rest
// plus kMaxControlBacklog of control frames outgoing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "auth/conversation.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::auth {

inline constexpr size_t kStreamQueueBytes = size_t{256} << 10U;
inline constexpr size_t kMaxWaitingPackets = size_t{1} << 20U;
inline constexpr size_t kMaxControlBacklog = size_t{16} << 20U;
// Of a responder's connection until it has given a reply (a NAK is none): strangers get little of our memory.
inline constexpr size_t kMaxFirstPacketBytes = size_t{256} << 10U;
// A responder's peer that has asked for nothing in that time, or was refused and asks no more, is let go.
inline constexpr std::chrono::seconds kAskWithin{30};
inline constexpr size_t kMaxStreamsPerConnection = 64;
inline constexpr size_t kMaxConversationsPerConnection = 64;
inline constexpr uint32_t kFirstStreamHandle = 499999;
// Handles below this one are conversations.
inline constexpr uint32_t kFirstNonControlHandle = 10000;

enum class End { initiator, responder };

class MuxConnection : public Arrivals {
 public:
  // Initiator: a conversation on the next unused handle.
  virtual std::unique_ptr<Conversation> begin() = 0;
  // The NAK a responder sends before any conversation: on the first handle, `text` being its whole body.
  virtual void send_refusal(std::string_view text) = 0;
  // The stream of this handle, once; corrupt when it was taken before.
  virtual base::Result<std::unique_ptr<loop::Duplex>> take_stream(uint32_t handle) = 0;
};

// Owns the transport, which must not use memory it was offered once it has answered `wait` (sockets and pipes
// do not): what comes next is read to, and written from, where it then belongs.
std::shared_ptr<MuxConnection> make_mux(loop::Loop& loop, std::unique_ptr<loop::Duplex> transport, End end);
// A connection of streams alone, agreed on elsewhere (bsdudp), where any number is a stream's handle. A
// responder knows its handles beforehand.
std::shared_ptr<MuxConnection> make_stream_mux(loop::Loop& loop, std::unique_ptr<loop::Duplex> transport,
                                               End end, const std::vector<uint32_t>& handles);

}  // namespace headrace::auth
