// One image written to volumes as parts, as a stream: write() lends the caller's memory to a worker
// (part_filler.h). Owned by whoever dumps or flushes; loop thread; borrows loop and PartOwner, which outlive
// it. Splits as told, goes to the next volume where one ends, and computes the CRC of what it wrote. Chooses
// no volume.
//
//   writing ◀──▶ wanting a volume ──▶ failed
//      └──▶ finish() ──▶ ended            abandon(), destruction: the part begun is taken back where possible
//
// When it fails with kind full, a volume ended in the middle of a part without early warning (as a tape
// does): position() then says where another PartWriter goes on, with a source that begins at
// position().offset. Parts before are good and told.
//
// All calls to a Volume are made on one lane, the volume's; whoever else uses that volume does so on it too.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/alive.h"
#include "base/error.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "server/volume/part_filler.h"

namespace headrace::volume {

// Who decides about volumes; called on the loop's thread. May destroy the writer from within.
class PartOwner {
 public:
  virtual ~PartOwner() = default;
  // There is no volume, or the last one is full: answer with PartWriter::use() or refuse(), now or later.
  virtual void volume_wanted() = 0;
  // A part was ended, well or not.
  virtual void part_done(const PartResult& part) = 0;
};

class PartWriter final : public loop::Writable {
 public:
  // `lane` is the lane of the volumes it will be given.
  PartWriter(loop::Loop& loop, uint64_t lane, wire::DumpHeader header, PartOptions options, PartOwner& owner,
             PartPosition start = {});
  ~PartWriter() override;
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  // The volume to write on; before the first write, or when one is wanted. Has a label already. The owner
  // keeps a share and lets go of it on the lane, so that unloading does not happen on the loop.
  void use(std::shared_ptr<Volume> volume, std::string label);
  // There is no further volume: the image fails with `why`.
  void refuse(base::Error why);

  loop::IoResult write(std::span<const iovec> pieces) override;
  void await_writable(loop::Ready ready) override;
  base::Error error() const override;
  void finish(std::move_only_function<void(base::Result<>)> done) override;
  void abandon() override;

  // As of what was last reported: where another writer goes on, the CRC of all that was written, the good
  // parts.
  const PartPosition& position() const { return position_; }
  base::CrcAndSize crc() const { return crc_; }
  int parts() const { return position_.part - 1; }

 private:
  enum class State : unsigned char { idle, writing, wanting, moved, failed, ended };

  void work();
  void worked(PartFiller::Filled outcome);
  void fail(base::Error error);
  void report(base::Result<> outcome);
  void call_ready();

  loop::Loop& loop_;
  PartOwner& owner_;
  PartPosition position_;
  base::CrcAndSize crc_;
  std::shared_ptr<PartFiller> filler_;  // shared with the worker, which may outlive this object
  loop::Lane lane_;
  State state_ = State::idle;
  bool finishing_ = false;
  std::vector<iovec> offered_;
  std::shared_ptr<Volume> volume_;  // shared as in PartFiller; handed over with the next work
  std::string label_;
  size_t moved_bytes_ = 0;
  std::optional<base::Error> error_;
  loop::Ready ready_;
  std::move_only_function<void(base::Result<>)> finished_;
  base::Alive alive_;
};

}  // namespace headrace::volume
