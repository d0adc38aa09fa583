#include "server/hold/chunk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "base/file.h"
#include "base/quote.h"

namespace headrace::hold {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;
using wire::DumpHeader;

std::string ImageKey::text() const {
  return fmt::format("{}:{} {} level {}", host, base::quote(disk), timestamp, level);
}

ImageKey key_of(const DumpHeader& header) {
  return {header.host, header.disk, header.level, header.timestamp};
}

std::string image_file_name(const ImageKey& key) {
  std::string host = key.host;
  for (char& c : host) {
    if (c == '/') c = '_';
  }
  return fmt::format("{}.{}.{}", host, base::mangle(key.disk), key.level);
}

fs::path chunk_path(const fs::path& base_path, size_t index) {
  return index == 0 ? base_path : fs::path(fmt::format("{}.{}", base_path.native(), index));
}

fs::path with_tmp(const fs::path& path) { return fs::path(path.native() + std::string(kTmpSuffix)); }

bool has_tmp(const fs::path& path) { return path.native().ends_with(kTmpSuffix); }

fs::path without_tmp(const fs::path& path) {
  if (!has_tmp(path)) return path;
  return fs::path(path.native().substr(0, path.native().size() - kTmpSuffix.size()));
}

Result<> write_chunk_header(int fd, const DumpHeader& header, const fs::path& path) {
  auto block = wire::encode_header(header);
  if (!block)
    return std::unexpected(std::move(block).error().during(fmt::format("writing {}", path.native())));
  size_t done = 0;
  while (done < block->size()) {
    const ssize_t n = ::pwrite(fd, block->data() + done, block->size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::fail_errno(fmt::format("write {}", path.native()));
    done += static_cast<size_t>(n);
  }
  return {};
}

Result<DumpHeader> read_chunk_header(int fd, const fs::path& path) {
  std::array<std::byte, wire::kHeaderBlockBytes> block;
  size_t filled = 0;
  while (filled < block.size()) {
    const ssize_t n = ::pread(fd, block.data() + filled, block.size() - filled, static_cast<off_t>(filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::fail_errno(fmt::format("read {}", path.native()));
    if (n == 0) {
      return base::fail(ErrorKind::corrupt, fmt::format("{} is shorter than a header block", path.native()));
    }
    filled += static_cast<size_t>(n);
  }
  auto header = wire::parse_header(block);
  if (!header)
    return std::unexpected(std::move(header).error().during(fmt::format("reading {}", path.native())));
  if (header->type != DumpHeader::Type::file && header->type != DumpHeader::Type::cont_file) {
    return base::fail(ErrorKind::corrupt, fmt::format("{} has no header of a holding file", path.native()));
  }
  return header;
}

Result<OpenChunk> open_chunk(const fs::path& path, int flags) {
  OpenChunk chunk;
  auto fd = base::open_file(path, flags | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return std::unexpected(std::move(fd).error());
  chunk.fd = std::move(*fd);
  struct stat st{};
  if (::fstat(chunk.fd.get(), &st) != 0) return base::fail_errno(fmt::format("stat {}", path.native()));
  if (!S_ISREG(st.st_mode)) {
    return base::fail(ErrorKind::corrupt, fmt::format("{} is not a regular file", path.native()));
  }
  auto header = read_chunk_header(chunk.fd.get(), path);
  if (!header) return std::unexpected(std::move(header).error());
  chunk.header = std::move(*header);
  chunk.data_bytes = static_cast<uint64_t>(st.st_size) - wire::kHeaderBlockBytes;
  return chunk;
}

Result<> check_chunk(const DumpHeader& header, const ImageKey& key, bool first, const fs::path& path) {
  const auto expected = first ? DumpHeader::Type::file : DumpHeader::Type::cont_file;
  if (header.type != expected) {
    return base::fail(ErrorKind::corrupt, fmt::format("{} is {} of a holding file", path.native(),
                                                      first ? "not the first chunk" : "not a later chunk"));
  }
  if (key_of(header) != key) {
    return base::fail(ErrorKind::corrupt, fmt::format("{} belongs to {}, not to {}", path.native(),
                                                      key_of(header).text(), key.text()));
  }
  return {};
}

Result<> sync_directory(const fs::path& directory) {
  auto fd = base::open_file(directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (::fsync(fd->get()) != 0 && errno != EINVAL)
    return base::fail_errno(fmt::format("fsync {}", directory.native()));
  return {};
}

}  // namespace headrace::hold
