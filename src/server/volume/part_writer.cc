#include "server/volume/part_writer.h"

#include <utility>

namespace headrace::volume {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

PartWriter::PartWriter(loop::Loop& loop, uint64_t lane, wire::DumpHeader header, PartOptions options,
                       PartOwner& owner, PartPosition start)
    : loop_(loop),
      owner_(owner),
      position_(start),
      crc_(position_.crc.value()),
      filler_(std::make_shared<PartFiller>(loop.clock(), std::move(header), options, start)),
      lane_(loop, lane) {}

PartWriter::~PartWriter() { abandon(); }

void PartWriter::use(std::shared_ptr<Volume> volume, std::string label) {
  volume_ = std::move(volume);
  label_ = std::move(label);
  if (state_ == State::wanting) work();
}

void PartWriter::refuse(Error why) {
  if (state_ != State::wanting) return;
  fail(std::move(why));
  report(std::unexpected(*error_));
}

IoResult PartWriter::write(std::span<const iovec> pieces) {
  switch (state_) {
    case State::idle:
      offered_.assign(pieces.begin(), pieces.end());
      work();
      return {IoState::wait, 0};
    case State::moved:
      // What went wrong behind these bytes is said with the next ones.
      state_ = error_ ? State::failed : State::idle;
      return {IoState::moved, moved_bytes_};
    case State::writing:
    case State::wanting:
      return {IoState::wait, 0};
    case State::ended:
      error_.emplace(ErrorKind::cancelled, "the image on the volume was ended");
      [[fallthrough]];
    case State::failed:
      break;
  }
  return {IoState::failed, 0};
}

void PartWriter::work() {
  state_ = State::writing;
  // Filled by the worker, read when it has ended.
  auto outcome = std::make_shared<PartFiller::Filled>();
  lane_.run(
      [filler = filler_, outcome, volume = std::exchange(volume_, nullptr), label = std::exchange(label_, {}),
       offered = finishing_ ? std::vector<iovec>() : offered_,
       finishing = finishing_](loop::Lane::Loan& loan) mutable {
        if (volume) filler->use(std::move(volume), std::move(label));
        *outcome = finishing ? filler->finish() : filler->write(offered, [&loan] { loan.give_back(); });
      },
      [this, outcome] { worked(std::move(*outcome)); });
}

void PartWriter::worked(PartFiller::Filled outcome) {
  const auto alive = alive_.ref();
  state_ = State::idle;
  position_ = outcome.position;
  crc_ = outcome.crc;
  if (outcome.error) fail(std::move(*outcome.error));
  if (outcome.bytes > 0) {
    state_ = State::moved;
    moved_bytes_ = outcome.bytes;
  } else if (outcome.volume_wanted) {
    state_ = State::wanting;
  }
  for (const PartResult& part : outcome.parts) {
    owner_.part_done(part);
    if (alive.expired() || state_ == State::ended) return;
  }
  if (state_ == State::wanting) {
    if (volume_) {
      work();
    } else {
      owner_.volume_wanted();
    }
    return;
  }
  report(error_ ? Result<>(std::unexpected(*error_)) : Result<>());
}

void PartWriter::fail(Error error) {
  state_ = State::failed;
  error_ = std::move(error);
}

// To whom it matters: the one who finishes, or the one who writes.
void PartWriter::report(Result<> outcome) {
  if (!finishing_) {
    call_ready();
    return;
  }
  if (outcome) state_ = State::ended;
  auto finished = std::exchange(finished_, nullptr);
  finished(std::move(outcome));
}

void PartWriter::call_ready() {
  if (!ready_) return;
  auto ready = std::exchange(ready_, nullptr);
  ready();
}

void PartWriter::await_writable(loop::Ready ready) {
  ready_ = std::move(ready);
  if (state_ == State::writing || state_ == State::wanting || state_ == State::ended) return;
  loop_.post([this, alive = alive_.ref()] {
    if (!alive.expired()) call_ready();
  });
}

Error PartWriter::error() const {
  return error_ ? *error_ : Error(ErrorKind::cancelled, "the image on the volume did not fail");
}

void PartWriter::finish(std::move_only_function<void(Result<>)> done) {
  if (state_ != State::idle || finishing_) {
    Error why =
        error_ ? *error_ : Error(ErrorKind::cancelled, "the image cannot be ended: a write is pending");
    loop_.post(
        [why = std::move(why), done = std::move(done)]() mutable { done(std::unexpected(std::move(why))); });
    return;
  }
  finishing_ = true;
  finished_ = std::move(done);
  work();
}

void PartWriter::abandon() {
  if (state_ == State::ended) return;
  // Only a write uses the caller's memory; what finish() does need not be waited for.
  if (finishing_) {
    lane_.forget();
  } else {
    lane_.drop();
  }
  state_ = State::ended;
  ready_ = nullptr;
  finished_ = nullptr;
  lane_.run_detached([filler = filler_] { filler->drop(); });
}

}  // namespace headrace::volume
