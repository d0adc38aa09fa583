#include "compat/text_file_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace headrace::compat {

using base::ErrorKind;
using base::Result;

namespace {
constexpr int kFast = 1;
constexpr int kGzipFormat = 15 + 16;  // largest window, gzip wrapper: see zlib's deflateInit2
constexpr int kMemoryLevel = 8;
constexpr size_t kLargestPiece = size_t{1} << 30U;  // zlib counts in 32 bits
}  // namespace

Result<std::unique_ptr<TextFileWriter>> TextFileWriter::open(std::filesystem::path path, bool compress) {
  if (auto made = base::make_directories(path.parent_path(), 0700); !made) {
    return std::unexpected(std::move(made.error()));
  }
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  auto fd = base::create_file(temporary, 0600, false);
  if (!fd) return std::unexpected(std::move(fd.error()));
  std::unique_ptr<TextFileWriter> writer(
      new TextFileWriter(std::move(path), std::move(temporary), std::move(*fd)));
  if (compress) {
    if (auto started = writer->start_deflate(); !started) return std::unexpected(started.error());
  }
  return writer;
}

TextFileWriter::~TextFileWriter() { abandon(); }

Result<> TextFileWriter::start_deflate() {
  if (deflateInit2(&deflate_, kFast, Z_DEFLATED, kGzipFormat, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
    return base::fail(ErrorKind::again, "no memory to compress " + path_.string());
  }
  compress_ = true;
  return {};
}

Result<> TextFileWriter::write_out() {
  const auto written = base::write_all(fd_.get(), {buffer_.data(), filled_}, temporary_.string());
  filled_ = 0;
  if (!written) broken_ = true;
  return written;
}

Result<> TextFileWriter::deflate_all(base::Bytes bytes, int flush) {
  deflate_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  deflate_.avail_in = static_cast<uInt>(bytes.size());
  for (;;) {
    deflate_.next_out = reinterpret_cast<Bytef*>(buffer_.data() + filled_);
    deflate_.avail_out = static_cast<uInt>(buffer_.size() - filled_);
    const int code = deflate(&deflate_, flush);
    HEADRACE_CHECK(code != Z_STREAM_ERROR);
    filled_ = buffer_.size() - deflate_.avail_out;
    const bool room_left = deflate_.avail_out > 0;
    if (!room_left) {
      if (auto written = write_out(); !written) return written;
    }
    if (code == Z_STREAM_END || (flush == Z_NO_FLUSH && room_left)) return {};
  }
}

Result<> TextFileWriter::add(base::Bytes bytes) {
  if (broken_ || !fd_) return base::fail(ErrorKind::refused, temporary_.string() + " is given up already");
  while (!bytes.empty()) {
    base::Bytes piece = bytes.first(std::min(bytes.size(), kLargestPiece));
    bytes = bytes.subspan(piece.size());
    if (compress_) {
      if (auto deflated = deflate_all(piece, Z_NO_FLUSH); !deflated) return deflated;
      continue;
    }
    while (!piece.empty()) {
      const size_t taken = std::min(piece.size(), buffer_.size() - filled_);
      std::memcpy(buffer_.data() + filled_, piece.data(), taken);
      filled_ += taken;
      piece = piece.subspan(taken);
      if (filled_ < buffer_.size()) continue;
      if (auto written = write_out(); !written) return written;
    }
  }
  return {};
}

Result<> TextFileWriter::finish() {
  if (broken_ || !fd_) return base::fail(ErrorKind::refused, temporary_.string() + " is given up already");
  broken_ = true;
  if (compress_) {
    if (auto deflated = deflate_all({}, Z_FINISH); !deflated) return deflated;
  }
  if (auto written = write_out(); !written) return written;
  if (::fsync(fd_.get()) != 0) return base::fail_errno("fsync " + temporary_.string());
  if (auto renamed = base::rename_file(temporary_, path_); !renamed) return renamed;
  fd_.reset();
  return {};
}

void TextFileWriter::abandon() {
  if (compress_) deflateEnd(&deflate_);
  compress_ = false;
  broken_ = true;
  if (!fd_) return;
  fd_.reset();
  // A left-over ".tmp" is never read; the next run of the same dump writes over it.
  ::unlink(temporary_.c_str());
}

}  // namespace headrace::compat
