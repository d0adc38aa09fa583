#include "auth/mux/mux_state.h"

#include <algorithm>
#include <array>
#include <utility>

namespace headrace::auth {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

// Frames gathered into one write.
static constexpr size_t kFramesPerWrite = 8;

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

}  // namespace headrace::auth
