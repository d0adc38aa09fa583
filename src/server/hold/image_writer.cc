#include "server/hold/image_writer.h"

#include <utility>

#include <fmt/format.h>

namespace headrace::hold {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

Room room_of(const HoldingDisks& disks, const Piece& piece) {
  const DiskSpace& disk = disks.disks().at(piece.disk);
  return {piece.disk, disk.directory, disk.chunk_kib * base::kKiB, piece.kib * base::kKiB};
}

std::vector<Room> rooms_of(const HoldingDisks& disks, const Reservation& reservation) {
  std::vector<Room> rooms;
  rooms.reserve(reservation.pieces.size());
  for (const Piece& piece : reservation.pieces) rooms.push_back(room_of(disks, piece));
  return rooms;
}

ImageWriter::ImageWriter(loop::Loop& loop, wire::DumpHeader header, std::vector<Room> rooms,
                         SpaceSource& space, Options options)
    : loop_(loop),
      space_(space),
      lane_(loop, options.lane ? *options.lane : loop.new_lane()),
      granted_(std::move(rooms)) {
  if (options.date_directory.empty()) options.date_directory = header.timestamp;
  chain_ = std::make_shared<ChunkChain>(std::move(header), std::move(options.date_directory), options.sync);
}

ImageWriter::~ImageWriter() { abandon(); }

void ImageWriter::grant(Room room) {
  granted_.push_back(std::move(room));
  if (state_ == State::wanting) start_write();
}

void ImageWriter::refuse(Error why) {
  if (state_ != State::wanting) return;
  fail(std::move(why));
  call_ready();
}

IoResult ImageWriter::write(std::span<const iovec> pieces) {
  switch (state_) {
    case State::idle:
      offered_.assign(pieces.begin(), pieces.end());
      start_write();
      return {IoState::wait, 0};
    case State::moved:
      // What went wrong behind these bytes is said with the next ones.
      state_ = error_ ? State::failed : State::idle;
      return {IoState::moved, moved_bytes_};
    case State::writing:
    case State::wanting:
      return {IoState::wait, 0};
    case State::ending:
    case State::ended:
      error_.emplace(ErrorKind::cancelled, "the holding image was ended");
      [[fallthrough]];
    case State::failed:
      break;
  }
  return {IoState::failed, 0};
}

void ImageWriter::start_write() {
  state_ = State::writing;
  for (Room& room : std::exchange(granted_, {})) chain_->add_room(std::move(room));
  // Written by the worker, read when it has ended.
  auto outcome = std::make_shared<ChunkChain::Wrote>();
  lane_.run([chain = chain_, outcome, this] { *outcome = chain->write(offered_); },
            [this, outcome] { wrote(std::move(*outcome)); });
}

void ImageWriter::wrote(ChunkChain::Wrote outcome) {
  state_ = State::idle;
  const auto alive = alive_.ref();
  data_bytes_ += outcome.bytes;
  if (outcome.error) fail(std::move(*outcome.error));
  if (outcome.bytes > 0) {
    state_ = State::moved;
    moved_bytes_ = outcome.bytes;
  } else if (!error_) {
    state_ = State::wanting;
  }
  for (const DiskIndex disk : outcome.full) {
    space_.disk_full(disk, chain_->used_kib(disk));
    if (alive.expired() || state_ == State::ended) return;
  }
  if (state_ != State::wanting) {
    call_ready();
    return;
  }
  if (granted_.empty()) {
    space_.more_room_wanted();
  } else {
    start_write();
  }
}

void ImageWriter::fail(Error error) {
  state_ = State::failed;
  error_ = std::move(error);
}

void ImageWriter::call_ready() {
  if (!ready_) return;
  auto ready = std::exchange(ready_, nullptr);
  ready();
}

void ImageWriter::await_writable(loop::Ready ready) {
  ready_ = std::move(ready);
  if (state_ == State::writing || state_ == State::wanting || state_ == State::ended) return;
  loop_.post([this, alive = alive_.ref()] {
    if (!alive.expired()) call_ready();
  });
}

Error ImageWriter::error() const {
  return error_ ? *error_ : Error(ErrorKind::cancelled, "the holding image did not fail");
}

void ImageWriter::finish(std::move_only_function<void(Result<>)> done) { end(false, std::move(done)); }
void ImageWriter::keep_partial(std::move_only_function<void(Result<>)> done) { end(true, std::move(done)); }

void ImageWriter::end(bool partial, std::move_only_function<void(Result<>)> done) {
  const bool may = state_ == State::idle || (partial && state_ == State::failed);
  if (!may) {
    auto outcome = base::fail(
        ErrorKind::cancelled,
        fmt::format("the holding image cannot be ended: {}", error_ ? error_->what() : "a write is pending"));
    loop_.post(
        [outcome = std::move(outcome), done = std::move(done)]() mutable { done(std::move(outcome)); });
    return;
  }
  state_ = State::ending;
  for (Room& room : std::exchange(granted_, {})) chain_->add_room(std::move(room));
  auto outcome = std::make_shared<Result<>>();
  lane_.run([chain = chain_, totals = totals_, partial,
             outcome] { *outcome = partial ? chain->keep_partial(totals) : chain->finish(totals); },
            [this, outcome, done = std::move(done)]() mutable {
              if (*outcome) {
                state_ = State::ended;
              } else {
                fail(outcome->error());
              }
              done(std::move(*outcome));
            });
}

void ImageWriter::abandon() {
  if (state_ == State::ended) return;
  // Only a write uses the caller's memory; what finish() does need not be waited for.
  if (state_ == State::ending) {
    lane_.forget();
  } else {
    lane_.drop();
  }
  state_ = State::ended;
  ready_ = nullptr;
  lane_.run_detached([chain = chain_] { chain->discard(); });
}

}  // namespace headrace::hold
