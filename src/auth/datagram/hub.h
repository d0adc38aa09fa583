// All conversations of one UDP socket, of either end: tells them apart by handle, sequence number and, for
// the responder, the peer's address and port, and gives each its packets. Shared (shared_ptr) by its
// conversations. Loop thread. Packets may be lost, doubled or late; whoever holds a conversation sends again
// (exchange/). What is malformed, or belongs to no conversation and begins none, is dropped and counted.
//
// A conversation that has ended is remembered for kRemember, since its datagrams may still be on their way: a
// REQ that was refused is refused again in the same words, one that was served to the end does not start the
// service anew, and a REP whose ACK was lost gets another; one that says something else does not.
//
// Bounds: kMaxDatagramConversations, kMaxConversationsOfHost with one address, kMaxWaitingDatagrams in each
// that were not yet delivered and kMaxWaitingBytes in all, kMaxRemembered ends of either kind.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/conversation.h"
#include "auth/datagram/carrier.h"
#include "auth/mux/mux_connection.h"
#include "loop/datagram.h"
#include "loop/loop.h"
#include "wire/packet.h"

namespace headrace::auth {

inline constexpr size_t kMaxDatagramConversations = 4096;
inline constexpr size_t kMaxConversationsOfHost = 1024;
inline constexpr size_t kMaxWaitingDatagrams = 16;
inline constexpr size_t kMaxWaitingBytes = size_t{8} << 20U;
inline constexpr size_t kMaxRemembered = 1024;
inline constexpr base::Duration kRemember = std::chrono::seconds(120);

class DatagramHub : public Arrivals, public std::enable_shared_from_this<DatagramHub> {
 public:
  struct Counters {
    uint64_t malformed = 0;  // no packets of Amanda's
    uint64_t stray = 0;      // of no conversation, and no request
    uint64_t crowded = 0;    // packets beyond the bounds
    uint64_t repeated = 0;   // of conversations that have ended
  };

  static std::shared_ptr<DatagramHub> initiator(loop::Loop& loop,
                                                std::unique_ptr<loop::DatagramSocket> socket);
  static std::shared_ptr<DatagramHub> responder(loop::Loop& loop,
                                                std::unique_ptr<loop::DatagramSocket> socket,
                                                MakeCarrier make_carrier);
  ~DatagramHub() override;

  // Initiator: a conversation on the next handle with a host that has these addresses. Its request goes to
  // one after the other each time it is sent, until something answers; then to that one.
  std::unique_ptr<Conversation> begin(std::vector<loop::Address> addresses,
                                      std::shared_ptr<MakeCarrier> make_carrier);
  // Responder, called once. `closed` is never called: a socket has no end.
  void serve(Opened opened, Closed closed) override;
  bool is_lasting() const override { return true; }

  loop::Address local() const { return socket_->local(); }
  const Counters& counters() const { return counters_; }
  size_t conversations() const { return talks_.size(); }

 private:
  friend class DatagramConversation;

  // An address without its port, comparable.
  struct Host {
    std::array<std::byte, 16> bytes{};
    uint32_t scope = 0;
    auto operator<=>(const Host&) const = default;
  };
  struct Key {
    Host host;  // zero in an initiator's: its handles are its own
    uint16_t port = 0;
    std::string handle;
    int32_t sequence = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Talk;
  // The end of a conversation: what still comes of it is answered so, or not at all.
  struct Ended {
    base::Instant until;
    wire::PacketType about;
    std::optional<size_t> about_hash;  // only of what says the same; absent: whatever it says
    std::string answer;
    std::vector<loop::Address> addresses;
  };
  struct Memory {
    std::map<Key, Ended> ended;
    std::deque<Key> by_age;
  };

  DatagramHub(loop::Loop& loop, std::unique_ptr<loop::DatagramSocket> socket, End end);
  void start();
  static Host host_of(const loop::Address& address);
  void received(base::Bytes bytes, const loop::Address& from, const loop::Address& to);
  Talk* talk_for(const Key& key, const wire::Datagram& datagram, const loop::Address& from);
  bool is_request_of_new(const Key& key, const wire::Datagram& datagram);
  bool repeat_end(const Key& key, const wire::Datagram& datagram, const loop::Address& from,
                  const loop::Address& to);
  void add(Talk& talk, wire::Packet packet);
  bool has_room_for(const wire::Packet& packet) const;
  void deliver(Talk& talk);
  base::Result<> send(Talk& talk, const wire::Packet& packet);
  Carrier& carrier_of(Talk& talk);
  void stream_connected(const Key& key);
  void end(Talk& talk);
  void remember(Memory& memory, const Key& key, Ended ended);
  void forget_old(Memory& memory);

  loop::Loop& loop_;
  std::unique_ptr<loop::DatagramSocket> socket_;
  const End end_;
  std::shared_ptr<MakeCarrier> make_carrier_;  // of a responder
  Opened opened_;
  std::map<Key, std::unique_ptr<Talk>> talks_;
  std::map<Host, size_t> of_host_;
  // Apart, so that a flood of requests that are refused does not drive out what was served.
  Memory refused_;
  Memory served_;
  size_t waiting_bytes_ = 0;  // of all packets not yet delivered
  uint32_t next_handle_ = 0;
  Counters counters_;
};

}  // namespace headrace::auth
