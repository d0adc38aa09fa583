#include "server/recover/source_stream.h"

#include <utility>

namespace headrace::recover {

using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

SourceStream::SourceStream(loop::Loop& loop, std::unique_ptr<ImageSource> source)
    : loop_(loop), source_(std::move(source)), lane_(loop) {}

SourceStream::~SourceStream() { close_read(); }

void SourceStream::open(std::move_only_function<void(Result<wire::DumpHeader>)> done) {
  HEADRACE_CHECK(state_ == State::idle && !lane_.busy());
  auto outcome = std::make_shared<std::optional<Result<wire::DumpHeader>>>();
  lane_.run([source = source_, outcome] { *outcome = source->header(); },
            [this, outcome, done = std::move(done)]() mutable {
              if (!**outcome) {
                failure_ = (*outcome)->error();
                state_ = State::failed;
              }
              done(**std::move(outcome));
            });
}

IoResult SourceStream::read(base::MutableBytes into) {
  switch (state_) {
    case State::idle: {
      state_ = State::reading;
      auto outcome = std::make_shared<Result<size_t>>(0);  // written by the worker, read when it has ended
      lane_.run([source = source_, into, outcome] { *outcome = source->read(into); },
                [this, outcome] {
                  if (*outcome) {
                    moved_bytes_ = **outcome;
                    state_ = moved_bytes_ > 0 ? State::moved : State::end;
                  } else {
                    failure_ = std::move(*outcome).error();
                    state_ = State::failed;
                  }
                  call_ready();
                });
      return {IoState::wait, 0};
    }
    case State::reading:
      return {IoState::wait, 0};
    case State::moved:
      state_ = State::idle;
      return {IoState::moved, moved_bytes_};
    case State::end:
      return {IoState::end, 0};
    case State::failed:
    case State::closed:
      break;
  }
  return {IoState::failed, 0};
}

void SourceStream::call_ready() {
  if (ready_) std::exchange(ready_, nullptr)();
}

void SourceStream::await_readable(loop::Ready ready) {
  ready_ = std::move(ready);
  if (state_ == State::reading || state_ == State::closed) return;
  loop_.post([this, alive = alive_.ref()] {
    if (!alive.expired()) call_ready();
  });
}

base::Error SourceStream::error() const {
  return failure_ ? *failure_ : base::Error(ErrorKind::cancelled, "the image was closed");
}

void SourceStream::close_read() {
  if (state_ == State::closed) return;
  lane_.drop();
  state_ = State::closed;
  ready_ = nullptr;
  source_.reset();
}

}  // namespace headrace::recover
