// One dump image being written to the holding disks, as a stream: write() lends the caller's memory to a
// worker that puts it into chunk files (chunk_chain.h). Owned by whoever dumps; loop thread; borrows loop and
// SpaceSource, which outlive it. Computes no checksum and does not decide how much room there is.
//
//   writing ◀──▶ wanting room ──▶ failed ──▶ (keep_partial) ──▶ ended
//      │                                         ▲
//      └──▶ finish() or keep_partial() ──────────┘     abandon(), destruction: files removed
//
// An image is visible under its name only after finish() or keep_partial() answered well; destroyed or
// abandoned before, its files are removed; after a crash recover_leftovers() finds them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/alive.h"
#include "base/error.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "server/hold/chunk_chain.h"
#include "server/hold/holding_disks.h"

namespace headrace::hold {

// Who decides about room; called on the loop's thread. May answer from within the call, later, or not at all
// while the dump has to wait; may abandon or destroy the writer from within.
class SpaceSource {
 public:
  virtual ~SpaceSource() = default;
  // What was promised is used up and more data is there: answer with ImageWriter::grant() or refuse().
  virtual void more_room_wanted() = 0;
  // `disk` has no room in reality; the image takes `used_kib` there and will write no more on it.
  virtual void disk_full(DiskIndex disk, uint64_t used_kib) = 0;
};

// What a fresh reservation allows; after extend(), only what was added is to be granted.
Room room_of(const HoldingDisks& disks, const Piece& piece);
std::vector<Room> rooms_of(const HoldingDisks& disks, const Reservation& reservation);

class ImageWriter final : public loop::Writable {
 public:
  struct Options {
    std::string date_directory;  // the run's timestamp; empty: the dump's
    // Shared with an earlier try to write the same image, so that what that try left is gone before this one
    // begins; else one of its own.
    std::optional<uint64_t> lane = {};
    bool sync = true;  // fsync data, headers and directories before the image counts as there
  };

  ImageWriter(loop::Loop& loop, wire::DumpHeader header, std::vector<Room> rooms, SpaceSource& space,
              Options options);
  ~ImageWriter() override;
  ImageWriter(const ImageWriter&) = delete;
  ImageWriter& operator=(const ImageWriter&) = delete;

  // More room, after more_room_wanted() or before.
  void grant(Room room);
  // No more room: the image fails with `why` (kind full asks for another way to dump).
  void refuse(base::Error why);

  // What finish() and keep_partial() put into the first header.
  void set_totals(const ImageTotals& totals) { totals_ = totals; }

  loop::IoResult write(std::span<const iovec> pieces) override;
  void await_writable(loop::Ready ready) override;
  base::Error error() const override;
  // Why it failed, if it did; also behind bytes that were taken.
  const std::optional<base::Error>& failure() const { return error_; }
  // The image is whole: see ChunkChain::finish(). Errors leave it ".tmp"; keep_partial() or abandon() follow.
  void finish(std::move_only_function<void(base::Result<>)> done) override;
  void abandon() override;
  // Keeps what was written as a partial image; allowed after a failure. No write may be pending.
  void keep_partial(std::move_only_function<void(base::Result<>)> done);

  // Data bytes that are in files; grows only when a write is reported as moved.
  uint64_t data_bytes() const { return data_bytes_; }
  // What the files take, and the first chunk's final name. Undefined while a write is pending.
  std::vector<Piece> used() const { return chain_->used(); }
  std::filesystem::path first_path() const { return chain_->first_path(); }

 private:
  enum class State : unsigned char { idle, writing, wanting, moved, failed, ending, ended };

  void start_write();
  void wrote(ChunkChain::Wrote outcome);
  void fail(base::Error error);
  void call_ready();
  void end(bool partial, std::move_only_function<void(base::Result<>)> done);

  loop::Loop& loop_;
  SpaceSource& space_;
  std::shared_ptr<ChunkChain> chain_;  // shared with the worker, which may outlive this object
  loop::Lane lane_;
  ImageTotals totals_;
  State state_ = State::idle;
  std::vector<iovec> offered_;
  std::vector<Room> granted_;  // handed to the chain when no worker has it
  size_t moved_bytes_ = 0;
  uint64_t data_bytes_ = 0;
  std::optional<base::Error> error_;
  loop::Ready ready_;
  base::Alive alive_;
};

}  // namespace headrace::hold
