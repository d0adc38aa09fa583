#include "loop/worker_readable.h"

#include <utility>

namespace headrace::loop {

using base::Error;
using base::ErrorKind;
using base::Result;

WorkerReadable::WorkerReadable(Loop& loop, uint64_t lane, std::shared_ptr<BlockingSource> source,
                               std::string name, SourceEnds ends)
    : loop_(loop), source_(std::move(source)), name_(std::move(name)), ends_(ends), lane_(loop, lane) {}

WorkerReadable::~WorkerReadable() { close_read(); }

IoResult WorkerReadable::read(base::MutableBytes into) {
  switch (state_) {
    case State::idle:
      start_reading(into);
      return {IoState::wait, 0};
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

void WorkerReadable::start_reading(base::MutableBytes into) {
  state_ = State::reading;
  auto outcome = std::make_shared<Result<size_t>>(0);  // written by the worker, read when it has ended
  lane_.run([source = source_, into, outcome] { *outcome = source->read(into); },
            [this, outcome] {
              if (*outcome) {
                moved_bytes_ = **outcome;
                state_ = moved_bytes_ > 0 ? State::moved : State::end;
              } else {
                fail(std::move(*outcome).error());
              }
              call_ready();
            });
}

void WorkerReadable::run_first(Callback work, Callback done) {
  HEADRACE_CHECK(state_ == State::idle);
  lane_.run(std::move(work), std::move(done));
}

void WorkerReadable::fail(Error why) {
  failure_ = std::move(why);
  state_ = State::failed;
}

void WorkerReadable::call_ready() {
  if (ready_) std::exchange(ready_, nullptr)();
}

void WorkerReadable::await_readable(Ready ready) {
  if (state_ == State::closed) return;
  ready_ = std::move(ready);
  if (state_ == State::reading) return;
  loop_.post([this, alive = alive_.ref()] {
    if (!alive.expired()) call_ready();
  });
}

Error WorkerReadable::error() const {
  return failure_ ? *failure_ : Error(ErrorKind::cancelled, name_ + " was closed");
}

void WorkerReadable::close_read() {
  if (state_ == State::closed) return;
  lane_.drop();
  state_ = State::closed;
  ready_ = nullptr;
  auto source = std::exchange(source_, nullptr);
  if (ends_ == SourceEnds::on_lane) {
    lane_.run_detached([source = std::move(source)]() mutable { source.reset(); });
  }
}

}  // namespace headrace::loop
