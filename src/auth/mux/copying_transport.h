// What a socket is to its user: copies what it is offered at once, so the memory may be another one the next
// time. Simulated streams by themselves hold their users to the stricter contract of files. Owned as any
// stream; loop thread. For tests and simulations alone.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "loop/stream.h"

namespace headrace::auth {

class CopyingTransport : public loop::Duplex {
 public:
  explicit CopyingTransport(std::unique_ptr<loop::Duplex> inner) : inner_(std::move(inner)) {}

  loop::IoResult read(base::MutableBytes into) override {
    const auto result = inner_->read(base::MutableBytes(in_.get(), std::min(into.size(), kInBytes)));
    if (result.bytes > 0) std::memcpy(into.data(), in_.get(), result.bytes);
    return result;
  }
  void await_readable(loop::Ready ready) override { inner_->await_readable(std::move(ready)); }
  void close_read() override { inner_->close_read(); }
  loop::IoResult write(std::span<const iovec> pieces) override {
    size_t size = 0;
    for (const iovec& piece : pieces) {
      const size_t some = std::min(piece.iov_len, kOutBytes - size);
      std::memcpy(out_.get() + size, piece.iov_base, some);
      size += some;
    }
    const iovec all{out_.get(), size};
    return inner_->write({&all, 1});
  }
  void await_writable(loop::Ready ready) override { inner_->await_writable(std::move(ready)); }
  void finish(std::move_only_function<void(base::Result<>)> done) override {
    inner_->finish(std::move(done));
  }
  void abandon() override { inner_->abandon(); }
  base::Error error() const override { return inner_->error(); }

 private:
  static constexpr size_t kInBytes = 65536;
  static constexpr size_t kOutBytes = 300000;
  std::unique_ptr<loop::Duplex> inner_;
  // Not cleared: a simulated night makes thousands of connections.
  std::unique_ptr<std::byte[]> in_ = std::make_unique_for_overwrite<std::byte[]>(kInBytes);
  std::unique_ptr<std::byte[]> out_ = std::make_unique_for_overwrite<std::byte[]>(kOutBytes);
};

}  // namespace headrace::auth
