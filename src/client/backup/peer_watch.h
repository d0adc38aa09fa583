// Notices that the peer gave up a stream on which it sends little or nothing. What it sends is read, and
// dropped unless somebody listens, so that it holds nothing else up. Borrows the stream. Loop thread.
#pragma once

#include <array>
#include <cstddef>
#include <functional>

#include "base/alive.h"
#include "loop/stream.h"

namespace headrace::client {

class PeerWatch {
 public:
  // `closed` is called once, later.
  PeerWatch(loop::Readable& stream, std::move_only_function<void()> closed);
  // Before start(): gets what the peer sends.
  void listen(std::move_only_function<void(base::Bytes)> heard) { heard_ = std::move(heard); }
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;
  // Reads until the stream has nothing more to say.
  void start();

 private:
  void read();

  loop::Readable& stream_;
  std::move_only_function<void()> closed_;
  std::move_only_function<void(base::Bytes)> heard_;
  std::array<std::byte, 4096> scrap_{};
  base::Alive alive_;
};

}  // namespace headrace::client
