#include "server/hold/chunk_chain.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ranges>
#include <set>

#include <fmt/format.h>

#include "base/file.h"
#include "server/hold/date_directory.h"

namespace headrace::hold {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;
using wire::DumpHeader;
using wire::kHeaderBlockBytes;

ChunkChain::ChunkChain(DumpHeader header, std::string date_directory, bool sync)
    : header_(std::move(header)), date_directory_(std::move(date_directory)), sync_(sync) {
  header_.cont_filename.clear();
  header_.partial = false;
  header_.blocksize = kHeaderBlockBytes;
}

void ChunkChain::add_room(Room room) {
  if (!rooms_.empty() && rooms_.back().disk == room.disk) {
    rooms_.back().bytes += room.bytes;
  } else {
    rooms_.push_back(std::move(room));
  }
}

DumpHeader ChunkChain::header_of(size_t index) const {
  DumpHeader header = header_;
  header.type = index == 0 ? DumpHeader::Type::file : DumpHeader::Type::cont_file;
  if (index + 1 < chunks_.size()) header.cont_filename = chunks_[index + 1].path.native();
  if (index > 0) {
    header.orig_size_kib = 0;
    header.native_crc = header.client_crc = header.server_crc = {};
  }
  return header;
}

Result<uint64_t> ChunkChain::space(Wrote& wrote) {
  while (!rooms_.empty()) {
    const Room& room = rooms_.front();
    if (fd_ && chunks_.back().disk == room.disk && room.bytes > 0) {
      const Chunk& chunk = chunks_.back();
      if (chunk.limit_bytes == 0) return room.bytes;
      if (chunk.size < chunk.limit_bytes) return std::min(room.bytes, chunk.limit_bytes - chunk.size);
    }
    if (room.bytes <= kHeaderBlockBytes) {
      // The last room stays: more may be granted on the same disk.
      if (rooms_.size() == 1) return 0;
      rooms_.pop_front();
      continue;
    }
    if (chunks_.size() >= kMaxChunks) {
      return base::fail(ErrorKind::refused,
                        fmt::format("{}: more than {} chunks", first_path().native(), kMaxChunks));
    }
    auto opened = open_next(room);
    if (opened) continue;
    if (opened.error().kind() != ErrorKind::full) return std::unexpected(std::move(opened).error());
    disk_full(room.disk, wrote);
  }
  return 0;
}

Result<> ChunkChain::open_next(const Room& room) {
  const fs::path directory = room.directory / date_directory_;
  if (auto made = make_date_directory(directory); !made) return made;
  Chunk chunk;
  chunk.disk = room.disk;
  chunk.path = chunk_path(directory / image_file_name(key_of(header_)), chunks_.size());
  chunk.limit_bytes = room.chunk_bytes;
  chunk.size = kHeaderBlockBytes;
  std::error_code ignored;
  if (fs::exists(chunk.path, ignored)) {
    return base::fail(ErrorKind::refused, fmt::format("{} exists already", chunk.path.native()));
  }
  auto fd = base::create_file(chunk.name(), 0600, true);
  if (!fd) return std::unexpected(std::move(fd).error());
  // The new header first: no chunk ever points to a file without one.
  auto ready = write_chunk_header(fd->get(), header_of(chunks_.size()), chunk.name());
  if (ready) ready = link_previous(chunk.path);
  if (!ready) {
    if (auto removed = base::remove_file(chunk.name()); !removed) return removed;
    return ready;
  }
  fd_ = std::move(*fd);
  chunks_.push_back(std::move(chunk));
  rooms_.front().bytes -= kHeaderBlockBytes;
  return {};
}

// The last chunk's header learns where the image goes on; with no name, that it ends there.
Result<> ChunkChain::link_previous(const fs::path& next) {
  if (chunks_.empty()) return {};
  const Chunk& last = chunks_.back();
  DumpHeader header = header_of(chunks_.size() - 1);
  header.cont_filename = next.native();
  if (fd_) return write_chunk_header(fd_.get(), header, last.name());
  auto fd = base::open_file(last.name(), O_RDWR);
  if (!fd) return std::unexpected(std::move(fd).error());
  return write_chunk_header(fd->get(), header, last.name());
}

Result<> ChunkChain::drop_empty_chunk() {
  fd_.reset();
  const fs::path name = chunks_.back().name();
  chunks_.pop_back();
  if (auto removed = base::remove_file(name); !removed) return removed;
  return link_previous({});
}

void ChunkChain::disk_full(DiskIndex disk, Wrote& wrote) {
  std::erase_if(rooms_, [disk](const Room& room) { return room.disk == disk; });
  wrote.full.push_back(disk);
}

// As many of the pieces as fit into `limit` bytes.
static std::pair<std::array<iovec, 16>, int> clip(std::span<const iovec> pieces, uint64_t skip,
                                                  uint64_t limit) {
  std::array<iovec, 16> out{};
  int count = 0;
  for (const iovec& piece : pieces) {
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    if (limit == 0 || count == static_cast<int>(out.size())) break;
    auto& to = out[static_cast<size_t>(count++)];
    to.iov_base = static_cast<char*>(piece.iov_base) + skip;
    to.iov_len = std::min<uint64_t>(piece.iov_len - skip, limit);
    limit -= to.iov_len;
    skip = 0;
  }
  return {out, count};
}

ChunkChain::Wrote ChunkChain::write(std::span<const iovec> pieces) {
  Wrote wrote;
  uint64_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  while (wrote.bytes < total) {
    auto room = space(wrote);
    if (!room) {
      wrote.error = std::move(room).error();
      return wrote;
    }
    if (*room == 0) {
      wrote.room_wanted = wrote.bytes == 0;
      return wrote;
    }
    Chunk& chunk = chunks_.back();
    const auto [vectors, count] = clip(pieces, wrote.bytes, *room);
    const ssize_t n = ::pwritev(fd_.get(), vectors.data(), count, static_cast<off_t>(chunk.size));
    if (n > 0) {
      const auto bytes = static_cast<uint64_t>(n);
      chunk.size += bytes;
      rooms_.front().bytes -= bytes;
      data_bytes_ += bytes;
      wrote.bytes += bytes;
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    auto error = base::Error::system(fmt::format("write {}", chunk.name().native()), n == 0 ? ENOSPC : errno);
    if (error.kind() != ErrorKind::full) {
      wrote.error = std::move(error);
      return wrote;
    }
    const DiskIndex disk = chunk.disk;
    if (::ftruncate(fd_.get(), static_cast<off_t>(chunk.size)) != 0) {
      wrote.error = base::Error::system(fmt::format("truncate {}", chunk.name().native()), errno);
      return wrote;
    }
    if (chunk.size == kHeaderBlockBytes) {
      if (auto dropped = drop_empty_chunk(); !dropped) {
        wrote.error = std::move(dropped).error();
        return wrote;
      }
    } else {
      chunk.limit_bytes = chunk.size;
    }
    disk_full(disk, wrote);
  }
  return wrote;
}

Result<> ChunkChain::sync_chunk(const Chunk& chunk) {
  if (!sync_) return {};
  auto fd = base::open_file(chunk.name(), O_RDWR);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (::fsync(fd->get()) != 0) return base::fail_errno(fmt::format("fsync {}", chunk.name().native()));
  return {};
}

Result<> ChunkChain::rename_all() {
  std::set<fs::path> directories;
  for (size_t i = chunks_.size(); i-- > 0;) {
    Chunk& chunk = chunks_[i];
    // The names of the later chunks must last before the first one makes the image visible.
    if (i == 0 && sync_) {
      for (const auto& directory : directories) {
        if (auto synced = sync_directory(directory); !synced) return synced;
      }
    }
    if (chunk.tmp) {
      if (auto renamed = base::rename_file(chunk.name(), chunk.path); !renamed) return renamed;
      chunk.tmp = false;
    }
    directories.insert(chunk.path.parent_path());
  }
  return sync_ ? sync_directory(chunks_[0].path.parent_path()) : Result<>();
}

Result<> ChunkChain::settle(const ImageTotals& totals, bool partial) {
  if (chunks_.empty()) {
    Wrote wrote;
    auto room = space(wrote);
    if (!room) return std::unexpected(std::move(room).error());
    if (chunks_.empty()) {
      return base::fail(ErrorKind::full,
                        fmt::format("no room on a holding disk for {}", key_of(header_).text()));
    }
  }
  fd_.reset();
  // Data before headers: a header with checksums must never stand before data that is not there.
  for (const Chunk& chunk : chunks_) {
    if (auto synced = sync_chunk(chunk); !synced) return synced;
  }
  header_.partial = partial;
  header_.orig_size_kib = totals.orig_size_kib;
  header_.native_crc = totals.native_crc;
  header_.client_crc = totals.client_crc;
  header_.server_crc = totals.server_crc;
  for (size_t i = 0; i < (partial ? chunks_.size() : 1); ++i) {
    auto fd = base::open_file(chunks_[i].name(), O_RDWR);
    if (!fd) return std::unexpected(std::move(fd).error());
    if (auto written = write_chunk_header(fd->get(), header_of(i), chunks_[i].name()); !written)
      return written;
    if (auto synced = sync_chunk(chunks_[i]); !synced) return synced;
  }
  return rename_all();
}

Result<> ChunkChain::finish(const ImageTotals& totals) { return settle(totals, false); }
Result<> ChunkChain::keep_partial(const ImageTotals& totals) { return settle(totals, true); }

void ChunkChain::discard() {
  fd_.reset();
  std::error_code ignored;
  // What cannot be removed is found as a left-over ".tmp" by the next run, which reports it.
  for (const Chunk& chunk : chunks_) {
    fs::remove(chunk.name(), ignored);
    // Its owner may have left the directory before; while one is there, it stays.
    (void)remove_if_empty(chunk.name().parent_path());
  }
  chunks_.clear();
}

uint64_t ChunkChain::used_kib(DiskIndex disk) const {
  uint64_t kib = 0;
  for (const Chunk& chunk : chunks_) {
    if (chunk.disk == disk) kib += base::to_kib(chunk.size);
  }
  return kib;
}

std::vector<Piece> ChunkChain::used() const {
  std::vector<Piece> pieces;
  for (const Chunk& chunk : chunks_) {
    const auto known = std::ranges::find(pieces, chunk.disk, &Piece::disk);
    if (known == pieces.end()) {
      pieces.push_back({chunk.disk, base::to_kib(chunk.size)});
    } else {
      known->kib += base::to_kib(chunk.size);
    }
  }
  return pieces;
}

}  // namespace headrace::hold
