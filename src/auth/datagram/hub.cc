#include "auth/datagram/hub.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace headrace::auth {

using base::ErrorKind;
using base::Result;
using wire::Datagram;
using wire::Packet;
using wire::PacketType;

// Replies can be long; it is enough to know one again.
static size_t hash_of(const std::string& body) { return std::hash<std::string>()(body); }

struct DatagramHub::Talk {
  Key key;
  // Where its packets go; the first of `addresses` until one has answered.
  std::vector<loop::Address> addresses;
  size_t sends = 0;
  bool answered = false;
  loop::Address to;
  loop::Address own;  // our address that the peer speaks to; length 0: unknown
  std::deque<Packet> arrived;
  Conversation::Received receiver;
  bool delivering = false;
  std::optional<PacketType> last_sent;
  std::string refusal;  // the datagram of the NAK sent, if one was
  bool acknowledged = false;
  std::optional<size_t> reply_hash;           // of an initiator: what the first REP said
  std::shared_ptr<MakeCarrier> make_carrier;  // shared with all that are reached alike
  std::unique_ptr<Carrier> carrier;
};

class DatagramConversation : public Conversation {
 public:
  DatagramConversation(std::shared_ptr<DatagramHub> hub, DatagramHub::Talk& talk)
      : hub_(std::move(hub)), talk_(talk) {}
  ~DatagramConversation() override { hub_->end(talk_); }

  Result<> send(const Packet& packet) override { return hub_->send(talk_, packet); }
  void on_packet(Received received) override {
    talk_.receiver = std::move(received);
    hub_->deliver(talk_);
  }
  std::optional<loop::Address> peer() const override { return talk_.to; }

  void offer_streams(size_t count, Offered offered) override {
    hub_->carrier_of(talk_).offer(count, std::move(offered));
  }
  void accept_stream(uint32_t number, StreamReady ready) override {
    hub_->carrier_of(talk_).accept(number, std::move(ready));
  }
  void open_stream(uint32_t number, StreamReady ready) override {
    hub_->carrier_of(talk_).open(number, std::move(ready));
  }

 private:
  std::shared_ptr<DatagramHub> hub_;  // lives as long as its last conversation
  DatagramHub::Talk& talk_;           // the hub's until end()
};

std::shared_ptr<DatagramHub> DatagramHub::initiator(loop::Loop& loop,
                                                    std::unique_ptr<loop::DatagramSocket> socket) {
  std::shared_ptr<DatagramHub> hub(new DatagramHub(loop, std::move(socket), End::initiator));
  hub->start();
  return hub;
}

std::shared_ptr<DatagramHub> DatagramHub::responder(loop::Loop& loop,
                                                    std::unique_ptr<loop::DatagramSocket> socket,
                                                    MakeCarrier make_carrier) {
  std::shared_ptr<DatagramHub> hub(new DatagramHub(loop, std::move(socket), End::responder));
  hub->make_carrier_ = std::make_shared<MakeCarrier>(std::move(make_carrier));
  return hub;
}

DatagramHub::DatagramHub(loop::Loop& loop, std::unique_ptr<loop::DatagramSocket> socket, End end)
    : loop_(loop), socket_(std::move(socket)), end_(end) {}
DatagramHub::~DatagramHub() = default;

void DatagramHub::start() {
  socket_->on_datagram(
      [weak = weak_from_this()](base::Bytes bytes, const loop::Address& from, const loop::Address& to) {
        if (const auto self = weak.lock()) self->received(bytes, from, to);
      });
}

DatagramHub::Host DatagramHub::host_of(const loop::Address& address) {
  Host host;
  if (address.storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
    std::memcpy(host.bytes.data(), &in->sin_addr, sizeof in->sin_addr);
    host.scope = UINT32_MAX;  // so that it equals no IPv6 address
  } else if (address.storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    std::memcpy(host.bytes.data(), &in6->sin6_addr, sizeof in6->sin6_addr);
    host.scope = in6->sin6_scope_id;
  }
  return host;
}

std::unique_ptr<Conversation> DatagramHub::begin(std::vector<loop::Address> addresses,
                                                 std::shared_ptr<MakeCarrier> make_carrier) {
  HEADRACE_CHECK(!addresses.empty());
  auto talk = std::make_unique<Talk>();
  // Handles repeat when a program starts again, from the same port perhaps: the sequence number tells the two
  // apart.
  const auto ticks = loop_.clock().now().time_since_epoch() / std::chrono::microseconds(1);
  talk->key.handle = fmt::format("000-{:08x}", next_handle_++);
  talk->key.sequence = static_cast<int32_t>(static_cast<uint32_t>(loop_.clock().wall_seconds()) ^
                                            static_cast<uint32_t>(ticks));
  talk->to = addresses.front();
  talk->addresses = std::move(addresses);
  talk->make_carrier = std::move(make_carrier);
  Talk& held = *talk;
  talks_[held.key] = std::move(talk);
  return std::make_unique<DatagramConversation>(shared_from_this(), held);
}

void DatagramHub::serve(Opened opened, Closed) {
  opened_ = std::move(opened);
  start();
}

void DatagramHub::received(base::Bytes bytes, const loop::Address& from, const loop::Address& to) {
  auto datagram = wire::decode_datagram(bytes);
  if (!datagram) {
    ++counters_.malformed;
    return;
  }
  Key key;
  if (end_ == End::responder) {
    key.host = host_of(from);
    key.port = from.port();
  }
  key.handle = datagram->handle;
  key.sequence = datagram->sequence;
  if (Talk* talk = talk_for(key, *datagram, from)) {
    talk->to = from;
    talk->own = to;
    talk->answered = true;
    return add(*talk, std::move(datagram->packet));
  }
  if (repeat_end(key, *datagram, from, to)) {
    ++counters_.repeated;
  } else if (is_request_of_new(key, *datagram)) {
    auto talk = std::make_unique<Talk>();
    talk->key = std::move(key);
    talk->to = from;
    talk->own = to;
    talk->answered = true;
    talk->make_carrier = make_carrier_;
    waiting_bytes_ += datagram->packet.body.size();
    talk->arrived.push_back(std::move(datagram->packet));
    ++of_host_[talk->key.host];
    Talk& held = *talk;
    talks_[held.key] = std::move(talk);
    opened_(std::make_unique<DatagramConversation>(shared_from_this(), held));
  }
}

DatagramHub::Talk* DatagramHub::talk_for(const Key& key, const Datagram& datagram,
                                         const loop::Address& from) {
  const auto found = talks_.find(key);
  if (found == talks_.end()) return nullptr;
  Talk& talk = *found->second;
  if (end_ == End::responder) return &talk;
  // A guess at the numbers must not do: the datagram has to come from where ours went.
  const bool is_peer = std::ranges::any_of(talk.addresses, [&](const loop::Address& address) {
    return address.same_host(from) && address.port() == from.port();
  });
  return is_peer && datagram.packet.type != PacketType::req ? &talk : nullptr;
}

bool DatagramHub::is_request_of_new(const Key& key, const Datagram& datagram) {
  if (end_ == End::initiator || !opened_ || datagram.packet.type != PacketType::req) {
    ++counters_.stray;
    return false;
  }
  const auto of_host = of_host_.find(key.host);
  if (talks_.size() >= kMaxDatagramConversations || !has_room_for(datagram.packet) ||
      (of_host != of_host_.end() && of_host->second >= kMaxConversationsOfHost)) {
    ++counters_.crowded;
    return false;
  }
  return true;
}

// True when the datagram belongs to a conversation that has ended.
bool DatagramHub::repeat_end(const Key& key, const Datagram& datagram, const loop::Address& from,
                             const loop::Address& to) {
  for (Memory* memory : {&served_, &refused_}) {
    forget_old(*memory);
    const auto found = memory->ended.find(key);
    if (found == memory->ended.end()) continue;
    const Ended& ended = found->second;
    const bool is_peer =
        end_ == End::responder || std::ranges::any_of(ended.addresses, [&](const loop::Address& address) {
          return address.same_host(from) && address.port() == from.port();
        });
    if (!is_peer) return false;
    const bool is_about = datagram.packet.type == ended.about &&
                          (!ended.about_hash || *ended.about_hash == hash_of(datagram.packet.body));
    if (is_about && !ended.answer.empty()) {
      (void)socket_->send(ended.answer, from, to).has_value();  // lost, it will be asked for again
    }
    return true;
  }
  return false;
}

bool DatagramHub::has_room_for(const Packet& packet) const {
  return waiting_bytes_ + packet.body.size() <= kMaxWaitingBytes;
}

void DatagramHub::add(Talk& talk, Packet packet) {
  // Who sends so many copies will send another.
  if (talk.arrived.size() >= kMaxWaitingDatagrams) return;
  if (!has_room_for(packet)) {
    ++counters_.crowded;
    return;
  }
  if (packet.type == PacketType::ack && talk.last_sent == PacketType::rep) talk.acknowledged = true;
  if (packet.type == PacketType::rep && !talk.reply_hash) talk.reply_hash = hash_of(packet.body);
  waiting_bytes_ += packet.body.size();
  talk.arrived.push_back(std::move(packet));
  deliver(talk);
}

void DatagramHub::deliver(Talk& talk) {
  if (talk.delivering || talk.arrived.empty()) return;
  talk.delivering = true;
  loop_.post([weak = weak_from_this(), key = talk.key] {
    const auto self = weak.lock();
    if (!self) return;
    const auto found = self->talks_.find(key);
    if (found == self->talks_.end()) return;
    Talk& due = *found->second;
    due.delivering = false;
    if (due.arrived.empty() || !due.receiver) return;
    Packet packet = std::move(due.arrived.front());
    due.arrived.pop_front();
    self->waiting_bytes_ -= packet.body.size();
    // The receiver may replace itself or end the conversation while it runs.
    auto receiver = std::move(due.receiver);
    receiver(std::move(packet));
    const auto again = self->talks_.find(key);
    if (again == self->talks_.end()) return;
    if (!again->second->receiver) again->second->receiver = std::move(receiver);
    self->deliver(*again->second);
  });
}

Result<> DatagramHub::send(Talk& talk, const Packet& packet) {
  auto bytes = wire::encode_datagram({packet, talk.key.handle, talk.key.sequence});
  if (!bytes) return std::unexpected(std::move(bytes).error());
  if (end_ == End::initiator && !talk.answered) {
    talk.to = talk.addresses[talk.sends++ % talk.addresses.size()];
  }
  talk.last_sent = packet.type;
  if (packet.type == PacketType::nak) talk.refusal = *bytes;
  return socket_->send(std::move(*bytes), talk.to, talk.own);
}

Carrier& DatagramHub::carrier_of(Talk& talk) {
  if (!talk.carrier) {
    talk.carrier = (*talk.make_carrier)(talk.to, [weak = weak_from_this(), key = talk.key] {
      if (const auto self = weak.lock()) self->stream_connected(key);
    });
  }
  return *talk.carrier;
}

void DatagramHub::stream_connected(const Key& key) {
  const auto found = talks_.find(key);
  if (found == talks_.end() || found->second->acknowledged) return;
  // Its ACK is lost, or late; it will not send another.
  add(*found->second, {PacketType::ack, {}});
}

void DatagramHub::end(Talk& talk) {
  const auto until = loop_.clock().now() + kRemember;
  if (end_ == End::responder) {
    if (!talk.refusal.empty()) {
      remember(refused_, talk.key, {until, PacketType::req, {}, std::move(talk.refusal), {}});
    } else if (talk.acknowledged) {
      remember(served_, talk.key, {until, PacketType::req, {}, {}, {}});
    }
    const auto of_host = of_host_.find(talk.key.host);
    if (--of_host->second == 0) of_host_.erase(of_host);
  } else if (talk.reply_hash) {
    auto ack = wire::encode_datagram({{PacketType::ack, {}}, talk.key.handle, talk.key.sequence});
    if (ack)
      remember(served_, talk.key,
               {until, PacketType::rep, talk.reply_hash, std::move(*ack), std::move(talk.addresses)});
  }
  for (const auto& packet : talk.arrived) waiting_bytes_ -= packet.body.size();
  talks_.erase(talks_.find(talk.key));
}

void DatagramHub::remember(Memory& memory, const Key& key, Ended ended) {
  forget_old(memory);
  if (memory.by_age.size() >= kMaxRemembered) {
    memory.ended.erase(memory.by_age.front());
    memory.by_age.pop_front();
  }
  memory.by_age.push_back(key);
  memory.ended[key] = std::move(ended);
}

void DatagramHub::forget_old(Memory& memory) {
  const auto now = loop_.clock().now();
  while (!memory.by_age.empty()) {
    const auto found = memory.ended.find(memory.by_age.front());
    if (found != memory.ended.end() && found->second.until > now) break;
    if (found != memory.ended.end()) memory.ended.erase(found);
    memory.by_age.pop_front();
  }
}

}  // namespace headrace::auth
