#include "auth/mux/mux_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "auth/mux/mux_state.h"
#include "base/alive.h"

namespace headrace::auth {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

namespace {

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
  void offer_streams(size_t count, Offered offered) override {
    std::vector<uint32_t> numbers;
    while (numbers.size() < count) {
      auto number = mux_->offer_stream();
      if (!number) return offered(std::unexpected(std::move(number).error()));
      offered_.push_back(*number);
      numbers.push_back(*number);
    }
    offered(std::move(numbers));
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
  bool writes_at_once() const override { return true; }  // as the transport has to
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
        [this, alive = alive_.ref(), given_up, done = std::move(done)](Result<> outcome) mutable {
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
  int native_fd() const override { return mux_->native_fd(); }

 private:
  std::shared_ptr<Mux> mux_;  // the connection lives as long as its last user
  Channel& channel_;
  bool abandoned_ = false;
  base::Alive alive_;
};

}  // namespace

std::unique_ptr<Conversation> make_conversation(std::shared_ptr<Mux> mux, uint32_t handle) {
  return std::make_unique<MuxConversation>(std::move(mux), handle);
}

std::unique_ptr<Conversation> Mux::begin() {
  const uint32_t handle = next_talk_++;
  auto talk = std::make_unique<Talk>();
  talk->handle = handle;
  talk->owned = true;
  talks_[handle] = std::move(talk);
  started_ = true;
  schedule_read();
  return make_conversation(shared_from_this(), handle);
}

void Mux::serve(Opened opened, Closed closed) {
  opened_ = std::move(opened);
  closed_ = std::move(closed);
  started_ = true;
  // Of a connection of streams alone what was asked for is agreed on already.
  if (end_ == End::responder && first_stream_ > 0) expect_request();
  schedule_read();
}

void Mux::expect_request() {
  deadline_ = loop_.after(kAskWithin, [weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->lost(
          Error(ErrorKind::gone, fmt::format("the peer has asked for nothing in {} s", kAskWithin.count())));
  });
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
  replied_ = replied_ || packet.type == wire::PacketType::rep || packet.type == wire::PacketType::prep;
  if (end_ == End::responder && !replied_ && packet.type == wire::PacketType::nak) expect_request();
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

void Mux::carry_streams_alone(const std::vector<uint32_t>& handles) {
  first_stream_ = 0;
  for (const uint32_t handle : handles) channel_for(handle);
  started_ = true;
  schedule_read();
}

std::shared_ptr<MuxConnection> make_mux(loop::Loop& loop, std::unique_ptr<loop::Duplex> transport, End end) {
  return std::make_shared<Mux>(loop, std::move(transport), end);
}

std::shared_ptr<MuxConnection> make_stream_mux(loop::Loop& loop, std::unique_ptr<loop::Duplex> transport,
                                               End end, const std::vector<uint32_t>& handles) {
  auto mux = std::make_shared<Mux>(loop, std::move(transport), end);
  mux->carry_streams_alone(handles);
  return mux;
}

}  // namespace headrace::auth
