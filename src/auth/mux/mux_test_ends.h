// Two ends of a framed connection over a simulated or a real one. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "auth/mux/mux_connection.h"

namespace headrace::auth {

// What a socket is to its user: copies what it is offered at once, so the memory may be another one the next
// time. Simulated streams by themselves hold their users to the stricter contract of files.
class CopyingTransport : public loop::Duplex {
 public:
  explicit CopyingTransport(std::unique_ptr<loop::Duplex> inner) : inner_(std::move(inner)) {}

  loop::IoResult read(base::MutableBytes into) override {
    const auto result = inner_->read(base::MutableBytes(in_).first(std::min(into.size(), in_.size())));
    if (result.bytes > 0) std::memcpy(into.data(), in_.data(), result.bytes);
    return result;
  }
  void await_readable(loop::Ready ready) override { inner_->await_readable(std::move(ready)); }
  void close_read() override { inner_->close_read(); }
  loop::IoResult write(std::span<const iovec> pieces) override {
    size_t size = 0;
    for (const iovec& piece : pieces) {
      const size_t some = std::min(piece.iov_len, out_.size() - size);
      std::memcpy(out_.data() + size, piece.iov_base, some);
      size += some;
    }
    const iovec all{out_.data(), size};
    return inner_->write({&all, 1});
  }
  void await_writable(loop::Ready ready) override { inner_->await_writable(std::move(ready)); }
  void finish(std::move_only_function<void(base::Result<>)> done) override {
    inner_->finish(std::move(done));
  }
  void abandon() override { inner_->abandon(); }
  base::Error error() const override { return inner_->error(); }

 private:
  std::unique_ptr<loop::Duplex> inner_;
  std::vector<std::byte> in_ = std::vector<std::byte>(65536);
  std::vector<std::byte> out_ = std::vector<std::byte>(300000);
};

// A conversation over frames answers at once.
inline base::Result<uint32_t> offer_stream(Conversation& conversation) {
  base::Result<uint32_t> number = base::fail(base::ErrorKind::cancelled, "no answer yet");
  conversation.offer_streams(1, [&](base::Result<std::vector<uint32_t>> offered) {
    if (offered) {
      number = offered->front();
    } else {
      number = std::unexpected(offered.error());
    }
  });
  return number;
}

// Initiator and responder with one conversation begun between them, from which both take streams.
class MuxEnds {
 public:
  MuxEnds(loop::Loop& loop, std::unique_ptr<loop::Duplex> near, std::unique_ptr<loop::Duplex> far)
      : initiator(make_mux(loop, std::move(near), End::initiator)),
        responder(make_mux(loop, std::move(far), End::responder)) {
    responder->serve(
        [this, &loop](std::unique_ptr<Conversation> conversation) {
          theirs = std::move(conversation);
          loop.stop();
        },
        [](const base::Result<>&) {});
    ours = initiator->begin();
    EXPECT_TRUE(ours->send({wire::PacketType::req, "SERVICE noop\n"}));
    loop.run();
    EXPECT_NE(theirs, nullptr);
  }

  struct Stream {
    std::unique_ptr<loop::Duplex> near;
    std::unique_ptr<loop::Duplex> far;
    uint32_t number = 0;
  };
  Stream open() {
    Stream stream;
    const auto number = offer_stream(*theirs);
    EXPECT_TRUE(number);
    stream.number = *number;
    theirs->accept_stream(*number, [&](auto opened) {
      EXPECT_TRUE(opened);
      stream.far = std::move(*opened);
    });
    ours->open_stream(*number, [&](auto opened) {
      EXPECT_TRUE(opened);
      stream.near = std::move(*opened);
    });
    return stream;
  }

  std::shared_ptr<MuxConnection> initiator;
  std::shared_ptr<MuxConnection> responder;
  std::unique_ptr<Conversation> ours;
  std::unique_ptr<Conversation> theirs;
};

}  // namespace headrace::auth
