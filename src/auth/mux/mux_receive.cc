#include "auth/mux/mux_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace headrace::auth {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

namespace {

// What the connection reads in one go before other work gets its turn.
constexpr size_t kReadQuantumBytes = size_t{512} << 10U;
// And at once when its descriptor is ready; more is bulk, and waits for its turn.
constexpr size_t kPromptBytes = size_t{16} << 10U;
// What a read counts at least towards that, so that a flood of tiny frames does not hold the loop.
constexpr size_t kLeastReadCost = 256;

}  // namespace

void Mux::kick() {
  if (started_ && !awaiting_read_) schedule_read();
}

void Mux::schedule_read() {
  if (read_scheduled_ || failure_ || ended_) return;
  read_scheduled_ = true;
  loop_.post_turn([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    self->read_scheduled_ = false;
    if (!self->awaiting_read_) self->read_frames(kReadQuantumBytes);
  });
}

void Mux::read_frames(size_t budget) {
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
  if (into.empty()) {
    check_pause_is_allowed();
    return false;
  }
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

// The connection may stand still only for a stream that has an owner who will read it or let go of it, and
// whose queue is full. Either is what kick() is called on.
void Mux::check_pause_is_allowed() const {
  const auto found = channels_.find(decoder_.handle());
  HEADRACE_CHECK(found != channels_.end());
  const Channel& channel = *found->second;
  HEADRACE_CHECK(!channel.unwanted() && !channel.user_gone && channel.queued() >= kStreamQueueBytes);
}

void Mux::await_readable() {
  awaiting_read_ = true;
  transport_->await_readable([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    self->awaiting_read_ = false;
    self->read_frames(kPromptBytes);
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
  if (end_ == End::responder && !replied_ && decoder_.handle() < first_stream_ &&
      decoder_.payload_left() > kMaxFirstPacketBytes) {
    lost(Error(ErrorKind::refused, fmt::format("a first request of {} bytes, more than the {} allowed",
                                               decoder_.payload_left(), kMaxFirstPacketBytes)));
    return false;
  }
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
  if (handle < first_stream_) {
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
  if (handle < first_stream_) {
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
  // Its memory too: a conversation lives on, and the next packet of one is small or far.
  std::vector<std::byte>().swap(talk.assembling);
  if (packet) deadline_.reset();
  add_arrived(talk, std::move(packet));
  const uint32_t handle = talk.handle;
  if (!std::exchange(talk.owned, true)) {
    loop_.post([weak = weak_from_this(), handle] {
      auto self = weak.lock();
      if (!self || !self->opened_ || !self->talks_.contains(handle)) return;
      self->opened_(make_conversation(self, handle));
    });
    return;
  }
  deliver(handle);
}

// The peer is done with a conversation; ours ends when its owner lets go of it. An initiator waits for what
// it asked for as long as it likes; a responder's work may be for nobody now.
void Mux::conversation_closed(uint32_t handle) {
  const auto found = talks_.find(handle);
  if (end_ == End::initiator || found == talks_.end() || !found->second->owned) return;
  if (std::exchange(found->second->peer_ended, true)) return;
  add_arrived(*found->second, base::fail(ErrorKind::cancelled, "the peer ended the conversation"));
  deliver(handle);
}

void Mux::handle_closed(uint32_t handle) {
  if (handle < first_stream_) return conversation_closed(handle);
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
  deadline_.reset();
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
    if (started_ && !awaiting_read_ && !read_scheduled_) read_frames(kReadQuantumBytes);
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

}  // namespace headrace::auth
