#include "client/backup/peer_watch.h"

#include <utility>

namespace headrace::client {

PeerWatch::PeerWatch(loop::Readable& stream, std::move_only_function<void()> closed)
    : stream_(stream), closed_(std::move(closed)) {}

void PeerWatch::start() {
  stream_.await_readable([this, alive = alive_.ref()] {
    if (!alive.expired()) read();
  });
}

void PeerWatch::read() {
  const auto result = stream_.read(scrap_);
  if (result.state == loop::IoState::moved && heard_) heard_(base::Bytes(scrap_).first(result.bytes));
  switch (result.state) {
    case loop::IoState::moved:
      // Not in a loop here: a peer that floods us must not keep the thread.
    case loop::IoState::wait:
      return start();
    case loop::IoState::end:
    case loop::IoState::failed:
      std::exchange(closed_, nullptr)();
  }
}

}  // namespace headrace::client
