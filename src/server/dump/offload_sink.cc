#include "server/dump/offload_sink.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/alive.h"
#include "loop/lane.h"

namespace headrace::dump {

namespace {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

Result<> write_all(BlockingSink& sink, const std::vector<iovec>& pieces) {
  for (const auto& piece : pieces) {
    if (auto written = sink.write({static_cast<const std::byte*>(piece.iov_base), piece.iov_len}); !written)
      return written;
  }
  return {};
}

class OffloadSink final : public loop::Writable {
 public:
  OffloadSink(loop::Loop& loop, uint64_t lane, std::unique_ptr<BlockingSink> sink)
      : loop_(loop), lane_(loop, lane), sink_(std::move(sink)) {}
  ~OffloadSink() override { abandon(); }

  IoResult write(std::span<const iovec> pieces) override {
    switch (state_) {
      case State::idle:
        begin(pieces);
        return {IoState::wait, 0};
      case State::writing:
        return {IoState::wait, 0};
      case State::moved:
        state_ = State::idle;
        return {IoState::moved, moved_bytes_};
      case State::finishing:
      case State::ended:
      case State::failed:
        break;
    }
    return {IoState::failed, 0};
  }

  void await_writable(loop::Ready ready) override {
    ready_ = std::move(ready);
    if (state_ == State::writing || state_ == State::ended) return;
    loop_.post([this, alive = alive_.ref()] {
      if (!alive.expired() && state_ != State::writing) call_ready();
    });
  }

  Error error() const override {
    return failure_ ? *failure_ : Error(ErrorKind::cancelled, "the stream was ended");
  }

  void finish(std::move_only_function<void(Result<>)> done) override {
    if (state_ != State::idle) {
      loop_.post([why = error(), alive = alive_.ref(), done = std::move(done)]() mutable {
        if (!alive.expired()) done(std::unexpected(std::move(why)));
      });
      return;
    }
    state_ = State::finishing;
    auto outcome = std::make_shared<Result<>>();
    lane_.run([sink = sink_, outcome] { *outcome = sink->finish(); },
              [this, outcome, done = std::move(done)]() mutable {
                state_ = State::ended;
                if (!*outcome) fail(outcome->error());
                done(std::move(*outcome));
              });
  }

  // A write uses the caller's memory and is waited for; what finish() does is not.
  void abandon() override {
    if (state_ == State::ended) return;
    if (state_ == State::finishing) {
      lane_.forget();
    } else {
      lane_.drop();
    }
    state_ = State::ended;
    ready_ = nullptr;
    lane_.run_detached([sink = sink_] { sink->abandon(); });
  }

 private:
  enum class State : unsigned char { idle, writing, moved, failed, finishing, ended };

  void begin(std::span<const iovec> pieces) {
    state_ = State::writing;
    std::vector<iovec> borrowed(pieces.begin(), pieces.end());
    size_t total = 0;
    for (const auto& piece : borrowed) total += piece.iov_len;
    auto outcome = std::make_shared<Result<>>();
    lane_.run(
        [sink = sink_, borrowed = std::move(borrowed), outcome] { *outcome = write_all(*sink, borrowed); },
        [this, outcome, total] {
          if (*outcome) {
            state_ = State::moved;
            moved_bytes_ = total;
          } else {
            fail(std::move(*outcome).error());
          }
          call_ready();
        });
  }

  void fail(Error error) {
    state_ = State::failed;
    failure_ = std::move(error);
  }

  void call_ready() {
    if (ready_) std::exchange(ready_, nullptr)();
  }

  loop::Loop& loop_;
  loop::Lane lane_;
  std::shared_ptr<BlockingSink> sink_;  // shared with works on the lane, which may outlive this object
  State state_ = State::idle;
  size_t moved_bytes_ = 0;
  std::optional<Error> failure_;
  loop::Ready ready_;
  base::Alive alive_;
};

}  // namespace

std::unique_ptr<loop::Writable> make_offload_sink(loop::Loop& loop, uint64_t lane,
                                                  std::unique_ptr<BlockingSink> sink) {
  return std::make_unique<OffloadSink>(loop, lane, std::move(sink));
}

}  // namespace headrace::dump
