#include "server/catalog/held_images.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <system_error>

#include "base/clock.h"
#include "base/file.h"
#include "wire/dump_header.h"

namespace headrace::catalog {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;
using wire::DumpHeader;

struct Chunk {
  DumpHeader header;
  uint64_t data_bytes = 0;
};

Result<Chunk> read_chunk(const fs::path& file) {
  auto fd = base::open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return std::unexpected(std::move(fd.error()));
  std::array<std::byte, wire::kHeaderBlockBytes> block;
  size_t have = 0;
  while (have < block.size()) {
    const ssize_t n = ::read(fd->get(), block.data() + have, block.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::fail_errno("read " + file.string());
    if (n == 0) return base::fail(ErrorKind::corrupt, file.string() + " is shorter than a header");
    have += static_cast<size_t>(n);
  }
  auto header = wire::parse_header(block);
  if (!header) return std::unexpected(std::move(header.error()).during("reading " + file.string()));
  if (!header->is_dump()) return base::fail(ErrorKind::corrupt, file.string() + " is no part of a dump");
  const off_t size = ::lseek(fd->get(), 0, SEEK_END);
  if (size < 0) return base::fail_errno("measure " + file.string());
  return Chunk{.header = *std::move(header), .data_bytes = static_cast<uint64_t>(size) - block.size()};
}

bool belongs(const DumpHeader& later, const DumpHeader& first) {
  return later.type == DumpHeader::Type::cont_file && later.host == first.host && later.disk == first.disk &&
         later.level == first.level && later.timestamp == first.timestamp;
}

// Follows the chain from a first chunk.
Image image_of(const fs::path& file, Chunk first) {
  const DumpHeader header = std::move(first.header);
  Image image;
  image.host = header.host;
  image.disk = header.disk;
  image.timestamp = header.timestamp;
  image.level = header.level;
  image.storage = image.pool = "HOLDING";
  image.holding_file = file;
  image.native_kib = header.orig_size_kib > 0 ? static_cast<int64_t>(header.orig_size_kib) : -1;
  image.native_crc = header.native_crc;
  image.client_crc = header.client_crc;
  image.server_crc = header.server_crc;
  image.bytes = first.data_bytes;
  if (header.partial) {
    image.status = ImageStatus::partial;
    image.reason = "its header says that the dump did not finish";
  }
  std::set<std::string> seen{file.string()};
  for (std::string next = header.cont_filename; !next.empty();) {
    auto chunk =
        seen.insert(next).second
            ? read_chunk(next)
            : Result<Chunk>(base::fail(ErrorKind::corrupt, "its chunks lead in a circle at " + next));
    if (chunk && !belongs(chunk->header, header)) {
      chunk = base::fail(ErrorKind::corrupt, next + " belongs to another dump");
    }
    if (!chunk) {
      image.status = ImageStatus::missing_part;
      image.reason = chunk.error().what();
      return image;
    }
    image.bytes += chunk->data_bytes;
    next = chunk->header.cont_filename;
  }
  return image;
}

// Sorted, so that what is found does not depend on the directory's own order.
std::vector<fs::path> entries_of(const fs::path& directory, std::vector<std::string>& warnings) {
  std::vector<fs::path> entries;
  std::error_code code;
  fs::directory_iterator entry(directory, code);
  if (code == std::errc::no_such_file_or_directory) return entries;
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) entries.push_back(entry->path());
  if (code) warnings.push_back("cannot list " + directory.string() + ": " + code.message());
  std::ranges::sort(entries);
  return entries;
}

}  // namespace

void list_held_images(const fs::path& directory, std::vector<Image>& images,
                      std::vector<std::string>& warnings) {
  for (const fs::path& date : entries_of(directory, warnings)) {
    std::error_code ignored;
    if (base::unix_of_timestamp(date.filename().string()) == 0 || !fs::is_directory(date, ignored)) continue;
    for (const fs::path& file : entries_of(date, warnings)) {
      const std::string name = file.filename().string();
      if (name == "pid" || name.ends_with(".tmp") || !fs::is_regular_file(file, ignored)) continue;
      auto chunk = read_chunk(file);
      if (!chunk) {
        warnings.push_back(chunk.error().what());
        continue;
      }
      if (chunk->header.type != DumpHeader::Type::file) continue;
      Image image = image_of(file, *std::move(chunk));
      // Nothing but a header is no image; Amanda deletes such.
      if (image.bytes > 0) images.push_back(std::move(image));
    }
  }
}

}  // namespace headrace::catalog
