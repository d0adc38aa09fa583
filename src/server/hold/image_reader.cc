#include "server/hold/image_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include <fmt/format.h>

namespace headrace::hold {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;

ChunkCursor::ChunkCursor(fs::path first, std::optional<ImageKey> key)
    : first_(std::move(first)), key_(std::move(key)) {}

// A chunk of an unfinished image is named by its final name and may still have ".tmp" (or the other way, when
// a crash came amid renaming).
static Result<OpenChunk> open_either(fs::path& path) {
  auto chunk = open_chunk(path, O_RDONLY);
  if (chunk || chunk.error().sys_errno() != ENOENT || has_tmp(path)) return chunk;
  auto tmp = open_chunk(with_tmp(path), O_RDONLY);
  if (!tmp) return chunk;
  path = with_tmp(path);
  return tmp;
}

Result<> ChunkCursor::open(size_t index) {
  if (index >= kMaxChunks) {
    return base::fail(ErrorKind::corrupt, fmt::format("{}: the chain of chunks has no end", first_.native()));
  }
  Known known;
  if (index < chunks_.size()) {
    known = chunks_[index];
  } else if (index == 0) {
    known.path = first_;
  } else {
    known.path = chunks_[index - 1].next;
    known.begin = chunks_[index - 1].begin + chunks_[index - 1].bytes;
  }
  auto chunk = open_either(known.path);
  if (!chunk) return std::unexpected(std::move(chunk).error());
  if (!key_) key_ = key_of(chunk->header);
  if (auto checked = check_chunk(chunk->header, *key_, index == 0, known.path); !checked) return checked;
  known.bytes = chunk->data_bytes;
  known.next = chunk->header.cont_filename;
  fd_ = std::move(chunk->fd);
  open_index_ = index;
  if (index == 0 && !header_) header_ = std::move(chunk->header);
  if (index == chunks_.size()) chunks_.push_back(std::move(known));
  return {};
}

Result<wire::DumpHeader> ChunkCursor::header() {
  if (!header_) {
    if (auto opened = open(0); !opened) return std::unexpected(std::move(opened).error());
  }
  return *header_;
}

// Opens the chunk that holds the place; false at the end of the image.
Result<bool> ChunkCursor::find_place() {
  size_t index = fd_ ? open_index_ : 0;
  if (fd_ && offset_ < chunks_[index].begin) index = 0;
  for (;; ++index) {
    if (index >= chunks_.size() || !fd_ || open_index_ != index) {
      if (auto opened = open(index); !opened) return std::unexpected(std::move(opened).error());
    }
    const Known& chunk = chunks_[index];
    if (offset_ < chunk.begin + chunk.bytes) return true;
    if (chunk.next.empty()) return false;
  }
}

Result<size_t> ChunkCursor::read(base::MutableBytes into) {
  auto there = find_place();
  if (!there) return std::unexpected(std::move(there).error());
  if (!*there) return 0;
  const Known& chunk = chunks_[open_index_];
  const uint64_t within = offset_ - chunk.begin;
  const size_t wanted = std::min<uint64_t>(into.size(), chunk.bytes - within);
  for (;;) {
    const ssize_t n =
        ::pread(fd_.get(), into.data(), wanted, static_cast<off_t>(wire::kHeaderBlockBytes + within));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::fail_errno(fmt::format("read {}", chunk.path.native()));
    if (n == 0) {
      return base::fail(ErrorKind::corrupt,
                        fmt::format("{} became shorter while it was read", chunk.path.native()));
    }
    offset_ += static_cast<uint64_t>(n);
    return static_cast<size_t>(n);
  }
}

static std::shared_ptr<ChunkCursor> cursor_at(fs::path first, std::optional<ImageKey> key, uint64_t offset) {
  auto cursor = std::make_shared<ChunkCursor>(std::move(first), std::move(key));
  cursor->seek(offset);
  return cursor;
}

ImageReader::ImageReader(loop::Loop& loop, fs::path first, std::optional<ImageKey> key, uint64_t offset)
    : WorkerReadable(loop, loop.new_lane(), cursor_at(std::move(first), std::move(key), offset),
                     "the holding image", loop::SourceEnds::on_loop) {}

}  // namespace headrace::hold
