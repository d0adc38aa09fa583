// One image of a holding disk as a stream: the data of its chunks, headers left out. read() lends the
// caller's memory to a worker. Owned by whoever flushes or restores; loop thread. Checks that each chunk
// belongs to the image; checksums are for taps of the flow.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"
#include "flow/alive.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "server/hold/chunk_file.h"

namespace headrace::hold {

// The chunks of an image on disk and a place in it. Blocking; used on one worker at a time, by ImageReader.
class ChunkCursor {
 public:
  // `first` is the first chunk's file, ".tmp" or not. With `key`, the image must be that one.
  ChunkCursor(std::filesystem::path first, std::optional<ImageKey> key);

  // The first chunk's header, opening it when needed.
  base::Result<wire::DumpHeader> header();
  // Up to into.size() bytes at the place, which moves on; 0 at the end.
  base::Result<size_t> read(base::MutableBytes into);
  // The next read begins at `offset` of the data; beyond the end it reads nothing.
  void seek(uint64_t offset) { offset_ = offset; }
  uint64_t offset() const { return offset_; }

 private:
  struct Known {
    std::filesystem::path path;
    uint64_t begin = 0;  // of its data within the image
    uint64_t bytes = 0;
    std::string next;
  };
  base::Result<> open(size_t index);
  base::Result<bool> find_place();

  std::filesystem::path first_;
  std::optional<ImageKey> key_;
  std::vector<Known> chunks_;
  base::Fd fd_;
  size_t open_index_ = 0;
  uint64_t offset_ = 0;
  std::optional<wire::DumpHeader> header_;
};

class ImageReader final : public loop::Readable {
 public:
  ImageReader(loop::Loop& loop, std::filesystem::path first, std::optional<ImageKey> key = {},
              uint64_t offset = 0);
  ~ImageReader() override;
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  loop::IoResult read(base::MutableBytes into) override;
  void await_readable(loop::Ready ready) override;
  base::Error error() const override;
  void close_read() override;

 private:
  enum class State : unsigned char { idle, reading, moved, end, failed, closed };
  void call_ready();

  loop::Loop& loop_;
  std::shared_ptr<ChunkCursor> cursor_;  // shared with the worker, which may outlive this object
  loop::Lane lane_;
  State state_ = State::idle;
  size_t moved_bytes_ = 0;
  std::optional<base::Error> error_;
  loop::Ready ready_;
  flow::Alive alive_;
};

}  // namespace headrace::hold
