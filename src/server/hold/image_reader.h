// One image of a holding disk as a stream: the data of its chunks, headers left out. Owned by whoever flushes
// or restores; loop thread. Checks that each chunk belongs to the image; checksums are for taps of the flow.
#pragma once

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "loop/loop.h"
#include "loop/worker_readable.h"
#include "server/hold/chunk_file.h"

namespace headrace::hold {

// The chunks of an image on disk and a place in it. Blocking; used on one worker at a time, by ImageReader.
class ChunkCursor final : public loop::BlockingSource {
 public:
  // `first` is the first chunk's file, ".tmp" or not. With `key`, the image must be that one.
  ChunkCursor(std::filesystem::path first, std::optional<ImageKey> key);

  // The first chunk's header, opening it when needed.
  base::Result<wire::DumpHeader> header();
  // Up to into.size() bytes at the place, which moves on; 0 at the end.
  base::Result<size_t> read(base::MutableBytes into) override;
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

class ImageReader final : public loop::WorkerReadable {
 public:
  ImageReader(loop::Loop& loop, std::filesystem::path first, std::optional<ImageKey> key = {},
              uint64_t offset = 0);
};

}  // namespace headrace::hold
