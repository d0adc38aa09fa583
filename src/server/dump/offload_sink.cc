#include "server/dump/offload_sink.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

namespace headrace::dump {

namespace {

using base::Result;
using loop::IoResult;
using loop::IoState;

// What the worker and the stream share; outlives either (shared_ptr), so that a worker never meets freed
// state.
struct Shared {
  std::unique_ptr<BlockingSink> sink;
  std::mutex mutex;
  std::condition_variable idle;
  bool busy = false;
  bool closed = false;
};

class OffloadSink : public loop::Writable {
 public:
  OffloadSink(loop::Loop& loop, std::unique_ptr<BlockingSink> sink)
      : loop_(loop), lane_(loop.new_lane()), shared_(std::make_shared<Shared>()) {
    shared_->sink = std::move(sink);
  }
  ~OffloadSink() override { abandon(); }

  IoResult write(std::span<const iovec> pieces) override {
    if (failure_) return {IoState::failed, 0};
    if (finished_bytes_ > 0) return {IoState::moved, std::exchange(finished_bytes_, 0)};
    if (busy_) return {IoState::wait, 0};
    busy_ = true;
    shared_->busy = true;
    auto outcome = std::make_shared<Result<>>();
    std::vector<iovec> borrowed(pieces.begin(), pieces.end());
    size_t total = 0;
    for (const auto& piece : borrowed) total += piece.iov_len;
    loop_.offload(
        lane_,
        [shared = shared_, borrowed = std::move(borrowed), outcome] {
          {
            const std::scoped_lock lock(shared->mutex);
            if (!shared->closed) *outcome = write_all(*shared->sink, borrowed);
          }
          const std::scoped_lock lock(shared->mutex);
          shared->busy = false;
          shared->idle.notify_all();
        },
        [this, alive = std::weak_ptr(alive_), outcome, total] {
          if (alive.expired()) return;
          busy_ = false;
          if (*outcome) {
            finished_bytes_ = total;
          } else {
            failure_ = std::move(*outcome).error();
          }
          if (ready_) std::exchange(ready_, nullptr)();
        });
    return {IoState::wait, 0};
  }

  void await_writable(loop::Ready ready) override {
    ready_ = std::move(ready);
    if (busy_) return;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired() && ready_ && !busy_) std::exchange(ready_, nullptr)();
    });
  }

  base::Error error() const override { return *failure_; }

  void finish(std::move_only_function<void(Result<>)> done) override {
    over_ = true;
    auto outcome = std::make_shared<Result<>>();
    loop_.offload(
        lane_, [shared = shared_, outcome] { *outcome = shared->sink->finish(); },
        [outcome, done = std::move(done)]() mutable { done(std::move(*outcome)); });
  }

  // Waits for at most the one call under way: the memory it reads belongs to the caller.
  void abandon() override {
    ready_ = nullptr;
    if (std::exchange(over_, true)) return;
    {
      std::unique_lock lock(shared_->mutex);
      shared_->closed = true;
    }
    loop_.offload(lane_, [shared = shared_] { shared->sink->abandon(); }, [] {});
  }

 private:
  static Result<> write_all(BlockingSink& sink, const std::vector<iovec>& pieces) {
    for (const auto& piece : pieces) {
      if (auto written = sink.write({static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
          !written) {
        return written;
      }
    }
    return {};
  }

  loop::Loop& loop_;
  uint64_t lane_;
  std::shared_ptr<Shared> shared_;
  bool busy_ = false;
  bool over_ = false;
  size_t finished_bytes_ = 0;
  std::optional<base::Error> failure_;
  loop::Ready ready_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with this, for deferred calls
};

}  // namespace

std::unique_ptr<loop::Writable> make_offload_sink(loop::Loop& loop, std::unique_ptr<BlockingSink> sink) {
  return std::make_unique<OffloadSink>(loop, std::move(sink));
}

}  // namespace headrace::dump
