// One chunk file of an image: its name and its header block. Blocking file calls, to be made on a worker.
// Knows nothing of chains (image_writer.h, image_reader.h, scan.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "wire/dump_header.h"

namespace headrace::hold {

inline constexpr std::string_view kTmpSuffix = ".tmp";
// More chunks than an image of ours or Amanda's can sensibly have: ends a chain that bites its tail.
inline constexpr size_t kMaxChunks = size_t{1} << 20U;

// What names an image everywhere: Amanda's key of a dump.
struct ImageKey {
  std::string host;
  std::string disk;
  int level = 0;
  std::string timestamp;  // of the dump, 14 digits
  bool operator==(const ImageKey&) const = default;
  std::string text() const;  // "host:disk 20261123013208 level 0"
};
ImageKey key_of(const wire::DumpHeader& header);

// "<host>.<mangled disk>.<level>", the name of chunk 0 in its date directory. The host is not mangled, except
// that a "/" in it, which no real host name has, cannot leave the directory.
std::string image_file_name(const ImageKey& key);
// The final name of chunk `index` of the image at `base`: `base` itself, then `base`.1, …
std::filesystem::path chunk_path(const std::filesystem::path& base, size_t index);
std::filesystem::path with_tmp(const std::filesystem::path& path);
bool has_tmp(const std::filesystem::path& path);
std::filesystem::path without_tmp(const std::filesystem::path& path);

// Encodes and writes the header block at the start of the file.
base::Result<> write_chunk_header(int fd, const wire::DumpHeader& header, const std::filesystem::path& path);
// Reads and parses it. Error corrupt: shorter than a block, or no dump header.
base::Result<wire::DumpHeader> read_chunk_header(int fd, const std::filesystem::path& path);

struct OpenChunk {
  base::Fd fd;
  wire::DumpHeader header;
  uint64_t data_bytes = 0;
};
// Opens a regular file and reads its header; `flags` as open(2). Never waits for a pipe, follows no link.
base::Result<OpenChunk> open_chunk(const std::filesystem::path& path, int flags);
// The error when a chunk does not belong to the image of `key`, or is chunk 0 where a later one is due (or
// the other way).
base::Result<> check_chunk(const wire::DumpHeader& header, const ImageKey& key, bool first,
                           const std::filesystem::path& path);

// fsync(2) of a directory, so that names made in it last.
base::Result<> sync_directory(const std::filesystem::path& directory);

}  // namespace headrace::hold
