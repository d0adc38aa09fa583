#include "server/volume/part_filler.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace headrace::volume {

using base::Error;
using base::ErrorKind;

PartOptions part_options(const config::Tapetype& tapetype, const config::Dumptype& dumptype) {
  PartOptions options;
  options.may_split = dumptype.allow_split;
  int64_t part_kib = tapetype.part_size_kib;
  const int64_t cache_kib = tapetype.part_cache_max_size_kib;
  if (cache_kib > 0 && (part_kib == 0 || cache_kib < part_kib)) part_kib = cache_kib;
  if (dumptype.tape_splitsize_kib > 0) part_kib = dumptype.tape_splitsize_kib;
  if (options.may_split && part_kib > 0) options.part_bytes = static_cast<uint64_t>(part_kib) * base::kKiB;
  return options;
}

PartFiller::PartFiller(const base::Clock& clock, wire::DumpHeader header, PartOptions options,
                       PartPosition start)
    : clock_(clock), header_(std::move(header)), options_(options), position_(start), crc_(position_.crc) {
  header_.type = wire::DumpHeader::Type::split_file;
  header_.total_parts = -1;
  header_.cont_filename.clear();
}

void PartFiller::use(std::shared_ptr<Volume> volume, std::string label) {
  HEADRACE_CHECK(!open_);
  volume_ = std::move(volume);
  label_ = std::move(label);
  header_.blocksize = volume_->block_bytes();
}

// False when there is no volume (any more), or an error.
bool PartFiller::begin_part(Filled& filled) {
  if (open_) return true;
  if (!volume_) return false;
  header_.part = position_.part;
  auto file = volume_->start_file(header_);
  if (!file) {
    volume_.reset();
    if (file.error().kind() != ErrorKind::full) filled.error = std::move(file).error();
    return false;
  }
  open_ = true;
  file_ = *file;
  part_bytes_ = 0;
  begun_ = clock_.now();
  return true;
}

void PartFiller::end_part(Filled& filled) {
  if (auto finished = volume_->finish_file(options_.sync); !finished) {
    open_ = false;
    fail_part(std::move(finished).error(), filled);
    return;
  }
  open_ = false;
  filled.parts.push_back(
      {label_, file_, position_.part, position_.offset, part_bytes_, clock_.now() - begun_, true, ""});
  ++position_.part;
  position_.offset += part_bytes_;
  position_.crc = crc_;
}

// The part is lost and stays on the volume as it is; the image can go on at its start.
void PartFiller::fail_part(Error error, Filled& filled) {
  if (open_) {
    open_ = false;
    // It failed already; that it cannot even be ended says nothing new.
    [[maybe_unused]] const auto ignored = volume_->finish_file(false);
  }
  filled.parts.push_back({label_, file_, position_.part, position_.offset, part_bytes_, clock_.now() - begun_,
                          false, error.what()});
  crc_ = position_.crc;
  volume_.reset();
  filled.error = std::move(error);
}

void PartFiller::medium_full(Filled& filled) {
  if (part_bytes_ > 0) {
    fail_part(Error(ErrorKind::full, fmt::format("No space left on volume '{}'", label_)), filled);
    return;
  }
  open_ = false;
  if (auto dropped = volume_->drop_file(); !dropped) filled.error = std::move(dropped).error();
  volume_.reset();
}

// As many of the pieces as fit into `limit` bytes.
static std::pair<std::array<iovec, 16>, size_t> clip(std::span<const iovec> pieces, uint64_t limit) {
  std::array<iovec, 16> out{};
  size_t count = 0;
  for (const iovec& piece : pieces) {
    if (limit == 0 || count == out.size()) break;
    out[count] = piece;
    out[count].iov_len = std::min<uint64_t>(piece.iov_len, limit);
    limit -= out[count++].iov_len;
  }
  return {out, count};
}

void PartFiller::write_some(std::span<const iovec> pieces, Filled& filled,
                            const std::function<void()>& pieces_done) {
  const auto [vectors, count] =
      clip(pieces, options_.part_bytes == 0 ? UINT64_MAX : options_.part_bytes - part_bytes_);
  auto written = volume_->write({vectors.data(), count});
  if (!written) {
    fail_part(std::move(written).error(), filled);
    return;
  }
  if (written->bytes == 0) {
    medium_full(filled);
    return;
  }
  uint64_t left = written->bytes;
  for (size_t i = 0; i < count && left > 0; ++i) {
    const size_t size = std::min<uint64_t>(vectors[i].iov_len, left);
    crc_.add({static_cast<const std::byte*>(vectors[i].iov_base), size});
    left -= size;
  }
  filled.bytes = written->bytes;
  part_bytes_ += written->bytes;
  pieces_done();
  const bool volume_ends = written->medium != Medium::good && options_.may_split;
  if (volume_ends || part_bytes_ == options_.part_bytes) end_part(filled);
  if (volume_ends) volume_.reset();
}

PartFiller::Filled PartFiller::told(Filled filled) const {
  filled.position = position_;
  filled.crc = crc_.value();
  return filled;
}

PartFiller::Filled PartFiller::write(std::span<const iovec> pieces,
                                     const std::function<void()>& pieces_done) {
  Filled filled;
  while (filled.bytes == 0 && !filled.error && !filled.volume_wanted) {
    if (begin_part(filled)) {
      write_some(pieces, filled, pieces_done);
    } else {
      filled.volume_wanted = !filled.error;
    }
  }
  return told(std::move(filled));
}

PartFiller::Filled PartFiller::finish() {
  Filled filled;
  if (position_.part == 1 && !begin_part(filled)) {
    filled.volume_wanted = !filled.error;
  } else if (open_) {
    end_part(filled);
  }
  return told(std::move(filled));
}

void PartFiller::drop() {
  if (!open_) return;
  open_ = false;
  // What stays is a part that no log line names.
  [[maybe_unused]] const auto ignored = volume_->drop_file();
  volume_.reset();
}

}  // namespace headrace::volume
