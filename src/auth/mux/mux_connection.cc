#include "auth/mux/mux_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "wire/frame.h"

namespace headrace::auth {

namespace {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

// What the connection reads in one go before other work gets its turn.
constexpr size_t kReadQuantumBytes = size_t{512} << 10U;
// What a read counts at least towards that, so that a flood of tiny frames does not hold the loop.
constexpr size_t kLeastReadCost = 256;
// Frames gathered into one write.
constexpr size_t kFramesPerWrite = 8;
// What a packet that waits for its receiver counts beside its text.
constexpr size_t kPacketCost = 256;

class Mux;

// The receiving and sending state of one stream handle. The stream object the user holds refers to it.
struct Channel {
  uint32_t handle = 0;
  // What the reader has offered while it waits; filled from the front.
  base::MutableBytes offer;
  size_t offer_filled = 0;
  // What came while nothing was offered.
  std::vector<std::byte> queue;
  size_t queue_taken = 0;
  bool remote_ended = false;  // N=0 arrived
  bool local_ended = false;   // N=0 sent
  bool reader_gone = false;   // drop what arrives
  loop::Ready readable;
  loop::Ready writable;
  bool taken = false;  // a stream object refers to this
  bool user_gone = false;
  uint64_t last_write = 0;  // the connection's count of writes then

  bool unwanted() const { return reader_gone || remote_ended; }

  size_t queued() const { return queue.size() - queue_taken; }
  bool has_data() const { return offer_filled > 0 || queued() > 0; }
};

struct Talk {
  uint32_t handle = 0;
  std::vector<std::byte> assembling;
  std::deque<Result<wire::Packet>> arrived;
  Conversation::Received received;
  bool delivering = false;
  bool owned = false;  // begun here, or announced to the responder
};

size_t cost_of(const Result<wire::Packet>& packet) {
  return kPacketCost + (packet ? packet->body.size() : 0);
}

class Mux : public MuxConnection, public std::enable_shared_from_this<Mux> {
 public:
  Mux(loop::Loop& loop, std::unique_ptr<loop::Duplex> transport, End end)
      : loop_(loop), transport_(std::move(transport)), end_(end) {}

  ~Mux() override {
    // Whatever of our last frames the kernel takes at once still goes out.
    flush();
  }

  std::unique_ptr<Conversation> begin() override;
  void serve(Opened opened, Closed closed) override;
  void send_refusal(std::string_view text) override;

  // Conversations.
  Result<> send_packet(uint32_t handle, const wire::Packet& packet);
  void on_packet(uint32_t handle, Conversation::Received received);
  void end_conversation(uint32_t handle);
  Result<uint32_t> offer_stream();
  Result<std::unique_ptr<loop::Duplex>> take_stream(uint32_t handle);

  // Streams.
  IoResult read(Channel& channel, base::MutableBytes into);
  IoResult write(Channel& channel, std::span<const iovec> pieces);
  void send_end(Channel& channel);
  void release(Channel& channel);
  void when_flushed(std::move_only_function<void(Result<>)> done);
  void kick();
  void wake_reader(Channel& channel);
  void await_room(Channel& channel);
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void schedule_read();
  void read_frames();
  // False when nothing more can be read now.
  bool read_piece(size_t& budget);
  bool read_header();
  void await_readable();
  base::MutableBytes destination_of_payload();
  void took(size_t n);
  void handle_closed(uint32_t handle);
  void add_arrived(Talk& talk, Result<wire::Packet> packet);
  void packet_complete(Talk& talk);
  void deliver(uint32_t handle);
  void wake_writer(uint32_t handle);
  void lost(Error error, bool proper_end = false);
  void over(Result<> outcome);
  bool append_control(std::string frame);
  void flush();
  void await_transport();
  void transport_writable();
  void tell_flushed();
  Channel& channel_for(uint32_t handle);

  loop::Loop& loop_;
  std::unique_ptr<loop::Duplex> transport_;
  End end_;
  Opened opened_;
  Closed closed_;
  wire::FrameDecoder decoder_;
  std::array<std::byte, wire::kFrameHeaderBytes> header_{};
  std::map<uint32_t, std::unique_ptr<Channel>> channels_;
  std::map<uint32_t, std::unique_ptr<Talk>> talks_;
  std::vector<std::byte> discard_;
  // Of the frame whose payload is due: none of it was read yet; it goes to nobody, to its end.
  bool frame_is_new_ = false;
  bool frame_is_dropped_ = false;
  size_t waiting_cost_ = 0;  // of the packets not yet delivered
  size_t enlarged_ = 0;      // by how much destination_of_payload() made room in a queue or packet
  uint32_t next_talk_ = 1;
  uint32_t next_stream_ = kFirstStreamHandle;
  bool started_ = false;
  bool read_scheduled_ = false;
  bool awaiting_read_ = false;
  bool ended_ = false;
  std::optional<Error> failure_;

  std::string tail_;  // bytes of frames begun or queued that must go before any other
  size_t tail_sent_ = 0;
  bool awaiting_write_ = false;
  std::vector<uint32_t> writers_;  // streams that wait for room
  uint64_t writes_ = 0;
  std::vector<std::move_only_function<void(Result<>)>> flushed_;
};

class MuxConversation : public Conversation {
 public:
  MuxConversation(std::shared_ptr<Mux> mux, uint32_t handle) : mux_(std::move(mux)), handle_(handle) {}
  ~MuxConversation() override {
    // Streams that were offered and never taken up must not hold up the connection with what may come on
    // them.
    for (const uint32_t number : offered_) (void)mux_->take_stream(number).has_value();
    mux_->end_conversation(handle_);
  }

  Result<> send(const wire::Packet& packet) override { return mux_->send_packet(handle_, packet); }
  void on_packet(Received received) override { mux_->on_packet(handle_, std::move(received)); }
  Result<uint32_t> offer_stream() override {
    auto number = mux_->offer_stream();
    if (number) offered_.push_back(*number);
    return number;
  }
  // Frames need no connecting: both ends know the handle once the reply is acknowledged.
  void accept_stream(uint32_t number, StreamReady ready) override {
    std::erase(offered_, number);
    ready(mux_->take_stream(number));
  }
  void open_stream(uint32_t number, StreamReady ready) override {
    if (number < kFirstNonControlHandle) {
      ready(base::fail(ErrorKind::corrupt,
                       fmt::format("the peer named stream {}, which is no stream handle", number)));
      return;
    }
    ready(mux_->take_stream(number));
  }

 private:
  std::shared_ptr<Mux> mux_;  // the connection lives as long as its last user
  uint32_t handle_;
  std::vector<uint32_t> offered_;  // not yet accepted
};

class MuxStream : public loop::Duplex {
 public:
  MuxStream(std::shared_ptr<Mux> mux, Channel& channel) : mux_(std::move(mux)), channel_(channel) {}
  ~MuxStream() override {
    close_read();
    mux_->send_end(channel_);
    mux_->release(channel_);
  }

  IoResult read(base::MutableBytes into) override { return mux_->read(channel_, into); }
  void await_readable(loop::Ready ready) override {
    if (channel_.reader_gone) return;
    channel_.readable = std::move(ready);
    if (channel_.has_data() || channel_.remote_ended || mux_->failure()) mux_->wake_reader(channel_);
  }
  void close_read() override {
    channel_.readable = nullptr;
    channel_.offer = {};
    channel_.offer_filled = 0;
    channel_.queue.clear();
    channel_.queue_taken = 0;
    if (!std::exchange(channel_.reader_gone, true)) mux_->kick();
  }

  IoResult write(std::span<const iovec> pieces) override { return mux_->write(channel_, pieces); }
  void await_writable(loop::Ready ready) override {
    if (abandoned_) return;
    channel_.writable = std::move(ready);
    mux_->await_room(channel_);
  }
  void finish(std::move_only_function<void(Result<>)> done) override {
    // A peer that closed the stream before we did has not taken all of it.
    const bool given_up = channel_.remote_ended && !channel_.local_ended;
    channel_.writable = nullptr;
    mux_->send_end(channel_);
    mux_->when_flushed(
        [this, alive = std::weak_ptr(alive_), given_up, done = std::move(done)](Result<> outcome) mutable {
          if (alive.expired() || abandoned_) return;
          if (outcome && given_up) outcome = std::unexpected(error());
          done(std::move(outcome));
        });
  }
  void abandon() override {
    abandoned_ = true;
    channel_.writable = nullptr;
    mux_->send_end(channel_);
  }

  Error error() const override {
    if (mux_->failure()) return *mux_->failure();
    return Error(ErrorKind::gone, "the peer closed the stream");
  }

 private:
  std::shared_ptr<Mux> mux_;  // the connection lives as long as its last user
  Channel& channel_;
  bool abandoned_ = false;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with this, for the outcome of finish()
};

// ---- conversations ----

std::unique_ptr<Conversation> Mux::begin() {
  const uint32_t handle = next_talk_++;
  auto talk = std::make_unique<Talk>();
  talk->handle = handle;
  talk->owned = true;
  talks_[handle] = std::move(talk);
  started_ = true;
  schedule_read();
  return std::make_unique<MuxConversation>(shared_from_this(), handle);
}

void Mux::serve(Opened opened, Closed closed) {
  opened_ = std::move(opened);
  closed_ = std::move(closed);
  started_ = true;
  schedule_read();
}

void Mux::send_refusal(std::string_view text) {
  append_control(
      wire::encode_frame(1, wire::encode_frame_packet({wire::PacketType::nak, std::string(text)})));
}

Result<> Mux::send_packet(uint32_t handle, const wire::Packet& packet) {
  if (failure_) return std::unexpected(*failure_);
  const std::string payload = wire::encode_frame_packet(packet);
  if (payload.size() > wire::kMaxFrameBytes) {
    return base::fail(ErrorKind::unsupported,
                      fmt::format("a packet of {} bytes is beyond the protocol's limit of {}", payload.size(),
                                  wire::kMaxFrameBytes));
  }
  if (!append_control(wire::encode_frame(handle, payload))) return std::unexpected(*failure_);
  return {};
}

void Mux::on_packet(uint32_t handle, Conversation::Received received) {
  auto found = talks_.find(handle);
  if (found == talks_.end()) return;
  found->second->received = std::move(received);
  if (failure_ && found->second->arrived.empty()) add_arrived(*found->second, std::unexpected(*failure_));
  deliver(handle);
}

void Mux::end_conversation(uint32_t handle) {
  auto found = talks_.find(handle);
  if (found == talks_.end()) return;
  for (const auto& packet : found->second->arrived) waiting_cost_ -= cost_of(packet);
  talks_.erase(found);
  kick();
  if (!failure_ && !ended_) append_control(wire::encode_frame(handle, {}));
}

void Mux::deliver(uint32_t handle) {
  auto found = talks_.find(handle);
  if (found == talks_.end() || found->second->delivering || found->second->arrived.empty()) return;
  found->second->delivering = true;
  loop_.post([weak = weak_from_this(), handle] {
    auto self = weak.lock();
    if (!self) return;
    auto it = self->talks_.find(handle);
    if (it == self->talks_.end()) return;
    Talk& talk = *it->second;
    talk.delivering = false;
    if (talk.arrived.empty() || !talk.received) return;
    auto packet = std::move(talk.arrived.front());
    talk.arrived.pop_front();
    self->waiting_cost_ -= cost_of(packet);
    self->kick();
    // The receiver may replace itself or end the conversation while it runs.
    auto received = std::move(talk.received);
    received(std::move(packet));
    auto again = self->talks_.find(handle);
    if (again == self->talks_.end()) return;
    if (!again->second->received) again->second->received = std::move(received);
    self->deliver(handle);
  });
}

Result<uint32_t> Mux::offer_stream() {
  if (failure_) return std::unexpected(*failure_);
  if (channels_.size() >= kMaxStreamsPerConnection) {
    return base::fail(ErrorKind::refused, "too many streams on one connection");
  }
  const uint32_t handle = next_stream_--;
  channel_for(handle);
  return handle;
}

Channel& Mux::channel_for(uint32_t handle) {
  auto& slot = channels_[handle];
  if (!slot) {
    slot = std::make_unique<Channel>();
    slot->handle = handle;
  }
  return *slot;
}

Result<std::unique_ptr<loop::Duplex>> Mux::take_stream(uint32_t handle) {
  Channel& channel = channel_for(handle);
  if (std::exchange(channel.taken, true)) {
    return base::fail(ErrorKind::corrupt, fmt::format("the peer named stream {} twice", handle));
  }
  auto stream = std::make_unique<MuxStream>(shared_from_this(), channel);
  kick();
  return stream;
}

// ---- receiving ----

void Mux::kick() {
  if (started_ && !awaiting_read_) schedule_read();
}

void Mux::schedule_read() {
  if (read_scheduled_ || failure_ || ended_) return;
  read_scheduled_ = true;
  loop_.post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    self->read_scheduled_ = false;
    if (!self->awaiting_read_) self->read_frames();
  });
}

void Mux::read_frames() {
  size_t budget = kReadQuantumBytes;
  while (!failure_ && !ended_ && budget > 0) {
    // Packets come faster than they are delivered: the next delivery reads on.
    if (waiting_cost_ >= kMaxWaitingPackets) break;
    if (!read_piece(budget)) break;
  }
  for (auto& [handle, channel] : channels_) {
    if (channel->has_data() || channel->remote_ended) wake_reader(*channel);
  }
  if (budget == 0) schedule_read();
}

bool Mux::read_piece(size_t& budget) {
  if (decoder_.payload_left() == 0) {
    budget -= std::min(budget, kLeastReadCost);
    return read_header();
  }
  const auto into = destination_of_payload();
  // Nobody has room: the connection is paused until the stream's reader calls read() again.
  if (into.empty()) return false;
  const auto result = transport_->read(into.first(std::min(into.size(), budget)));
  if (result.state == IoState::wait) {
    took(0);
    await_readable();
    return false;
  }
  if (result.state == IoState::end) {
    lost(Error(ErrorKind::gone, "the peer closed the connection in the middle of a frame"));
    return false;
  }
  if (result.state == IoState::failed) {
    lost(transport_->error());
    return false;
  }
  budget -= std::min(budget, std::max(result.bytes, kLeastReadCost));
  took(result.bytes);
  return true;
}

void Mux::await_readable() {
  awaiting_read_ = true;
  transport_->await_readable([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    self->awaiting_read_ = false;
    self->read_frames();
  });
}

bool Mux::read_header() {
  const size_t missing = decoder_.header_bytes_missing();
  const auto result = transport_->read(base::MutableBytes(header_).first(missing));
  if (result.state == IoState::wait) {
    await_readable();
    return false;
  }
  if (result.state == IoState::end) {
    if (decoder_.at_boundary()) {
      lost(Error(ErrorKind::gone, "the peer closed the connection"), true);
    } else {
      lost(Error(ErrorKind::gone, "the peer closed the connection in the middle of a frame"));
    }
    return false;
  }
  if (result.state == IoState::failed) {
    lost(transport_->error());
    return false;
  }
  base::Bytes input = base::Bytes(header_).first(result.bytes);
  auto piece = decoder_.next(input);
  if (!piece) {
    lost(std::move(piece).error());
    return false;
  }
  if (*piece && (*piece)->frame_length == 0) handle_closed((*piece)->handle);
  frame_is_new_ = true;
  frame_is_dropped_ = false;
  return true;
}

// Where the next payload bytes go: a reader's own memory, a stream's queue, a packet being assembled, or, for
// a handle nobody holds, a scratch buffer.
base::MutableBytes Mux::destination_of_payload() {
  const uint32_t handle = decoder_.handle();
  const size_t left = decoder_.payload_left();
  auto scratch = [&]() -> base::MutableBytes {
    if (discard_.empty()) discard_.resize(4096);
    return base::MutableBytes(discard_).first(std::min(left, discard_.size()));
  };
  // Whoever comes or goes in the middle of a frame gets nothing of it.
  auto drop_frame = [&] {
    frame_is_dropped_ = true;
    return scratch();
  };
  if (frame_is_dropped_) return scratch();
  if (handle < kFirstNonControlHandle) {
    auto found = talks_.find(handle);
    if (found == talks_.end()) {
      if (!frame_is_new_ || end_ == End::initiator || !opened_ ||
          talks_.size() >= kMaxConversationsPerConnection) {
        return drop_frame();
      }
      auto talk = std::make_unique<Talk>();
      talk->handle = handle;
      found = talks_.emplace(handle, std::move(talk)).first;
    }
    auto& assembling = found->second->assembling;
    const size_t have = assembling.size();
    enlarged_ = std::min<size_t>(left, 65536);
    assembling.resize(have + enlarged_);
    return base::MutableBytes(assembling).subspan(have);
  }
  auto found = channels_.find(handle);
  if (found == channels_.end()) {
    // An initiator may see data before it has taken the stream up; it knows no handle before the reply, so
    // bytes for an unnamed stream can only be kept back, bounded by one queue.
    if (!frame_is_new_ || end_ == End::responder || channels_.size() >= kMaxStreamsPerConnection) {
      return drop_frame();
    }
    channel_for(handle);
    found = channels_.find(handle);
  }
  Channel& channel = *found->second;
  if (channel.unwanted()) return scratch();
  if (channel.queued() == 0 && channel.offer_filled < channel.offer.size()) {
    const auto room = channel.offer.subspan(channel.offer_filled);
    return room.first(std::min(room.size(), left));
  }
  if (channel.queued() >= kStreamQueueBytes) return {};
  if (channel.queue_taken > 0) {
    channel.queue.erase(channel.queue.begin(),
                        channel.queue.begin() + static_cast<ptrdiff_t>(channel.queue_taken));
    channel.queue_taken = 0;
  }
  const size_t have = channel.queue.size();
  enlarged_ = std::min(left, kStreamQueueBytes - have);
  channel.queue.resize(have + enlarged_);
  return base::MutableBytes(channel.queue).subspan(have);
}

// `n` payload bytes were read into what destination_of_payload() gave.
void Mux::took(size_t n) {
  const uint32_t handle = decoder_.handle();
  const size_t enlarged = std::exchange(enlarged_, 0);
  decoder_.took_payload(static_cast<uint32_t>(n));
  if (n > 0) frame_is_new_ = false;
  if (frame_is_dropped_) return;
  if (handle < kFirstNonControlHandle) {
    auto found = talks_.find(handle);
    if (found == talks_.end()) return;
    auto& assembling = found->second->assembling;
    assembling.resize(assembling.size() - enlarged + n);
    if (decoder_.payload_left() == 0) packet_complete(*found->second);
    return;
  }
  auto found = channels_.find(handle);
  if (found == channels_.end() || found->second->unwanted()) return;
  Channel& channel = *found->second;
  if (enlarged == 0) {
    channel.offer_filled += n;
    return;
  }
  // The queue was enlarged by what could have come; keep what did.
  channel.queue.resize(channel.queue.size() - enlarged + n);
}

void Mux::add_arrived(Talk& talk, Result<wire::Packet> packet) {
  waiting_cost_ += cost_of(packet);
  talk.arrived.push_back(std::move(packet));
}

void Mux::packet_complete(Talk& talk) {
  auto packet = wire::decode_frame_packet(talk.assembling);
  talk.assembling.clear();
  add_arrived(talk, std::move(packet));
  const uint32_t handle = talk.handle;
  if (!std::exchange(talk.owned, true)) {
    loop_.post([weak = weak_from_this(), handle] {
      auto self = weak.lock();
      if (!self || !self->opened_ || !self->talks_.contains(handle)) return;
      self->opened_(std::make_unique<MuxConversation>(self, handle));
    });
    return;
  }
  deliver(handle);
}

void Mux::handle_closed(uint32_t handle) {
  // The peer is done with a conversation; ours ends when its owner lets go of it.
  if (handle < kFirstNonControlHandle) return;
  if (end_ == End::initiator && channels_.size() < kMaxStreamsPerConnection) channel_for(handle);
  auto found = channels_.find(handle);
  if (found == channels_.end()) return;
  Channel& channel = *found->second;
  channel.remote_ended = true;
  wake_reader(channel);
  if (channel.writable) wake_writer(handle);
  if (channel.user_gone && channel.local_ended) channels_.erase(found);
}

void Mux::wake_reader(Channel& channel) {
  if (!channel.readable) return;
  loop_.post([weak = weak_from_this(), handle = channel.handle] {
    auto self = weak.lock();
    if (!self) return;
    auto it = self->channels_.find(handle);
    if (it != self->channels_.end() && it->second->readable) std::exchange(it->second->readable, nullptr)();
  });
}

void Mux::lost(Error error, bool proper_end) {
  if (failure_) return;
  failure_ = std::move(error);
  for (auto& [handle, talk] : talks_) {
    add_arrived(*talk, std::unexpected(*failure_));
    deliver(handle);
  }
  for (auto& [handle, channel] : channels_) {
    wake_reader(*channel);
  }
  transport_writable();
  over(proper_end ? Result<>() : Result<>(std::unexpected(*failure_)));
}

void Mux::over(Result<> outcome) {
  if (ended_) return;
  ended_ = true;
  loop_.post([weak = weak_from_this(), outcome = std::move(outcome)]() mutable {
    auto self = weak.lock();
    if (!self || !self->closed_) return;
    auto closed = std::exchange(self->closed_, nullptr);
    self->opened_ = nullptr;
    closed(std::move(outcome));
  });
}

IoResult Mux::read(Channel& channel, base::MutableBytes into) {
  if (channel.reader_gone) return {IoState::failed, 0};
  if (channel.queued() > 0 && channel.offer_filled == 0) {
    const size_t n = std::min(into.size(), channel.queued());
    std::memcpy(into.data(), channel.queue.data() + channel.queue_taken, n);
    channel.queue_taken += n;
    channel.offer = {};
    if (channel.queue_taken == channel.queue.size()) {
      channel.queue.clear();
      channel.queue_taken = 0;
    }
    kick();
    return {IoState::moved, n};
  }
  if (channel.offer_filled == 0 && !channel.remote_ended && !failure_) {
    channel.offer = into;
    if (started_ && !awaiting_read_ && !read_scheduled_) read_frames();
  }
  if (channel.offer_filled > 0) {
    const size_t n = std::exchange(channel.offer_filled, 0);
    channel.offer = {};
    kick();
    return {IoState::moved, n};
  }
  if (channel.remote_ended) return {IoState::end, 0};
  if (failure_) return {IoState::failed, 0};
  return {IoState::wait, 0};
}

// ---- sending ----

bool Mux::append_control(std::string frame) {
  if (failure_) return false;
  if (tail_.size() - tail_sent_ + frame.size() > kMaxControlBacklog) {
    lost(Error(ErrorKind::gone, "the peer does not read its packets"));
    return false;
  }
  tail_.erase(0, std::exchange(tail_sent_, 0));
  tail_ += frame;
  flush();
  return !failure_;
}

void Mux::flush() {
  while (!failure_ && tail_sent_ < tail_.size()) {
    const iovec piece{tail_.data() + tail_sent_, tail_.size() - tail_sent_};
    const auto result = transport_->write({&piece, 1});
    if (result.state == IoState::wait) {
      await_transport();
      return;
    }
    if (result.state != IoState::moved) {
      lost(transport_->error());
      return;
    }
    tail_sent_ += result.bytes;
  }
  tail_.clear();
  tail_sent_ = 0;
}

void Mux::await_transport() {
  if (awaiting_write_ || (tail_.empty() && writers_.empty())) return;
  awaiting_write_ = true;
  transport_->await_writable([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    self->awaiting_write_ = false;
    self->flush();
    if (!self->awaiting_write_) self->transport_writable();
  });
}

void Mux::transport_writable() {
  auto writers = std::exchange(writers_, {});
  // Who wrote last waits longest; else the first one in the list would take all the room each time.
  std::ranges::sort(writers, {}, [this](uint32_t handle) {
    const auto found = channels_.find(handle);
    return found == channels_.end() ? 0 : found->second->last_write;
  });
  for (const uint32_t handle : writers) wake_writer(handle);
  tell_flushed();
}

void Mux::wake_writer(uint32_t handle) {
  loop_.post([weak = weak_from_this(), handle] {
    auto self = weak.lock();
    if (!self) return;
    auto it = self->channels_.find(handle);
    if (it != self->channels_.end() && it->second->writable) std::exchange(it->second->writable, nullptr)();
  });
}

void Mux::await_room(Channel& channel) {
  // Its next write() says why.
  if (failure_ || channel.remote_ended || channel.local_ended) return wake_writer(channel.handle);
  if (std::ranges::find(writers_, channel.handle) == writers_.end()) writers_.push_back(channel.handle);
  await_transport();
}

void Mux::when_flushed(std::move_only_function<void(Result<>)> done) {
  flushed_.push_back(std::move(done));
  if (tail_.empty() || failure_) return tell_flushed();
  await_transport();
}

void Mux::tell_flushed() {
  for (auto& done : std::exchange(flushed_, {})) {
    loop_.post([failure = failure_, done = std::move(done)]() mutable {
      done(failure ? Result<>(std::unexpected(*failure)) : Result<>());
    });
  }
}

IoResult Mux::write(Channel& channel, std::span<const iovec> pieces) {
  if (failure_ || channel.local_ended || channel.remote_ended) return {IoState::failed, 0};
  if (!tail_.empty() || awaiting_write_) return {IoState::wait, 0};
  std::array<std::array<std::byte, wire::kFrameHeaderBytes>, kFramesPerWrite> headers;
  std::array<iovec, 2 * kFramesPerWrite> vec;
  std::array<size_t, kFramesPerWrite> sizes;
  size_t frames = 0;
  for (const iovec& piece : pieces) {
    auto* at = static_cast<std::byte*>(piece.iov_base);
    for (size_t left = piece.iov_len; left > 0 && frames < kFramesPerWrite;) {
      const size_t n = std::min<size_t>(left, wire::kNormalFrameBytes);
      headers[frames] = wire::encode_frame_header({static_cast<uint32_t>(n), channel.handle});
      vec[2 * frames] = {headers[frames].data(), wire::kFrameHeaderBytes};
      vec[2 * frames + 1] = {at, n};
      sizes[frames++] = n;
      at += n;
      left -= n;
    }
  }
  const auto result = transport_->write({vec.data(), 2 * frames});
  if (result.state == IoState::wait) return {IoState::wait, 0};
  if (result.state != IoState::moved) {
    lost(transport_->error());
    return {IoState::failed, 0};
  }
  channel.last_write = ++writes_;
  // Whole frames count as taken; of a frame that was begun the rest is kept here, so that the wire never
  // depends on this stream's owner calling again.
  size_t sent = result.bytes;
  size_t taken = 0;
  for (size_t i = 0; i < frames && sent > 0; ++i) {
    const size_t whole = wire::kFrameHeaderBytes + sizes[i];
    taken += sizes[i];
    if (sent >= whole) {
      sent -= whole;
      continue;
    }
    if (sent < wire::kFrameHeaderBytes) {
      tail_.append(reinterpret_cast<const char*>(headers[i].data()) + sent, wire::kFrameHeaderBytes - sent);
    }
    const size_t payload_sent = sent > wire::kFrameHeaderBytes ? sent - wire::kFrameHeaderBytes : 0;
    tail_.append(static_cast<const char*>(vec[2 * i + 1].iov_base) + payload_sent, sizes[i] - payload_sent);
    sent = 0;
    await_transport();
  }
  return {IoState::moved, taken};
}

void Mux::send_end(Channel& channel) {
  if (std::exchange(channel.local_ended, true) || failure_) return;
  append_control(wire::encode_frame(channel.handle, {}));
}

void Mux::release(Channel& channel) {
  channel.user_gone = true;
  channel.writable = nullptr;
  // Kept until the peer ends it too, so that late data is known to be unwanted.
  if (channel.remote_ended || failure_) channels_.erase(channel.handle);
}

}  // namespace

std::shared_ptr<MuxConnection> make_mux(loop::Loop& loop, std::unique_ptr<loop::Duplex> transport, End end) {
  return std::make_shared<Mux>(loop, std::move(transport), end);
}

}  // namespace headrace::auth
