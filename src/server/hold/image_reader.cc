#include "server/hold/image_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace headrace::hold {

namespace fs = std::filesystem;
using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

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

ImageReader::ImageReader(loop::Loop& loop, fs::path first, std::optional<ImageKey> key, uint64_t offset)
    : loop_(loop), cursor_(std::make_shared<ChunkCursor>(std::move(first), std::move(key))), lane_(loop) {
  cursor_->seek(offset);
}

ImageReader::~ImageReader() { close_read(); }

IoResult ImageReader::read(base::MutableBytes into) {
  switch (state_) {
    case State::idle: {
      state_ = State::reading;
      auto outcome = std::make_shared<Result<size_t>>(0);  // written by the worker, read when it has ended
      lane_.run([cursor = cursor_, into, outcome] { *outcome = cursor->read(into); },
                [this, outcome] {
                  if (!*outcome) {
                    error_ = std::move(*outcome).error();
                    state_ = State::failed;
                  } else {
                    moved_bytes_ = **outcome;
                    state_ = moved_bytes_ > 0 ? State::moved : State::end;
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
    case State::closed:
      error_.emplace(ErrorKind::cancelled, "the holding image was closed");
      [[fallthrough]];
    case State::failed:
      break;
  }
  return {IoState::failed, 0};
}

void ImageReader::call_ready() {
  if (!ready_) return;
  auto ready = std::exchange(ready_, nullptr);
  ready();
}

void ImageReader::await_readable(loop::Ready ready) {
  ready_ = std::move(ready);
  if (state_ == State::reading || state_ == State::closed) return;
  loop_.post([this, alive = alive_.ref()] {
    if (!alive.expired()) call_ready();
  });
}

Error ImageReader::error() const {
  return error_ ? *error_ : Error(ErrorKind::cancelled, "the holding image did not fail");
}

void ImageReader::close_read() {
  if (state_ == State::closed) return;
  lane_.drop();
  state_ = State::closed;
  ready_ = nullptr;
  cursor_.reset();
}

}  // namespace headrace::hold
