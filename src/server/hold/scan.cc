#include "server/hold/scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "server/hold/date_directory.h"
#include "server/hold/image_reader.h"

namespace headrace::hold {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;
using wire::DumpHeader;

// Entries of a directory by name, or what is wrong with it.
static Result<std::vector<fs::path>> list(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    paths.push_back(entry->path());
  }
  if (error) return base::fail_errno(fmt::format("list {}", directory.native()), error.value());
  std::ranges::sort(paths);
  return paths;
}

static fs::path existing_name(const fs::path& path) {
  std::error_code ignored;
  return !fs::exists(path, ignored) && fs::exists(with_tmp(path), ignored) ? with_tmp(path) : path;
}

Result<Image> read_image(const fs::path& file) {
  Image image;
  image.file = file;
  std::set<fs::path> seen;
  for (fs::path path = file;;) {
    auto chunk = open_chunk(path, O_RDONLY);
    const bool first = image.chunks.empty();
    Result<> checked;
    if (chunk) {
      checked = check_chunk(chunk->header, first ? key_of(chunk->header) : key_of(image.header), first, path);
    } else {
      checked = std::unexpected(chunk.error());
    }
    if (checked && !seen.insert(path).second) {
      checked =
          base::fail(ErrorKind::corrupt, fmt::format("the chain of chunks comes back to {}", path.native()));
    }
    if (!checked) {
      if (first) return std::unexpected(std::move(checked).error());
      image.fault = checked.error().what();
      image.partial = true;
      return image;
    }
    image.chunks.push_back(path);
    image.data_bytes += chunk->data_bytes;
    image.kib += base::to_kib(chunk->data_bytes + wire::kHeaderBlockBytes);
    image.partial = image.partial || chunk->header.partial;
    image.leftover = image.leftover || has_tmp(path);
    const std::string next = chunk->header.cont_filename;
    if (first) image.header = std::move(chunk->header);
    if (next.empty()) return image;
    path = existing_name(next);
  }
}

namespace {

// One pass over all date directories.
class Scanner {
 public:
  Holdings run(std::span<const fs::path> directories) {
    for (const fs::path& directory : directories) scan_disk(directory);
    for (const fs::path& path : later_chunks_) {
      if (!claimed_.contains(path)) add_cruft(path, "a later chunk that no image leads to");
    }
    return std::move(found_);
  }

 private:
  void add_cruft(const fs::path& path, std::string why) { found_.cruft.push_back({path, std::move(why)}); }

  void scan_disk(const fs::path& directory) {
    const auto entries = list(directory);
    if (!entries) {
      add_cruft(directory, entries.error().what());
      return;
    }
    for (const fs::path& entry : *entries) {
      std::error_code ignored;
      if (entry.filename() == "lost+found") continue;
      if (!is_date_name(entry.filename().native()) || !fs::is_directory(entry, ignored)) {
        add_cruft(entry, "not the directory of a run");
        continue;
      }
      const DateOwner owner = owner_of(entry);
      if (owner.who == DateOwner::Who::other) {
        found_.not_ours.push_back({entry, fmt::format("in use by process {}", owner.pid)});
      } else {
        scan_date(entry);
      }
    }
  }

  void scan_date(const fs::path& directory) {
    const auto entries = list(directory);
    if (!entries) {
      add_cruft(directory, entries.error().what());
      return;
    }
    for (const fs::path& entry : *entries) {
      if (entry.filename() == kPidFile) continue;
      std::error_code error;
      if (!fs::is_regular_file(fs::symlink_status(entry, error)) || error) {
        add_cruft(entry, "not a file");
      } else if (fs::file_size(entry, error) == 0) {
        add_cruft(entry, "an empty file");
      } else {
        scan_file(entry);
      }
    }
  }

  void scan_file(const fs::path& file) {
    auto chunk = open_chunk(file, O_RDONLY);
    if (!chunk) {
      add_cruft(file, chunk.error().what());
      return;
    }
    if (chunk->header.type == DumpHeader::Type::cont_file) {
      later_chunks_.push_back(file);
      return;
    }
    auto image = read_image(file);
    if (!image) {
      add_cruft(file, image.error().what());
      return;
    }
    claimed_.insert(image->chunks.begin(), image->chunks.end());
    found_.images.push_back(std::move(*image));
  }

  Holdings found_;
  std::vector<fs::path> later_chunks_;
  std::set<fs::path> claimed_;
};

}  // namespace

Holdings scan(std::span<const fs::path> directories) { return Scanner().run(directories); }

// Whether every byte the header speaks of is there.
static bool proven_whole(const Image& image) {
  const auto expected = image.header.server_crc;
  if (image.partial || !expected.known() || expected.size != image.data_bytes) return false;
  ChunkCursor cursor(image.file, key_of(image.header));
  base::Crc32c crc;
  const size_t size = base::kMiB;
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  for (;;) {
    const auto got = cursor.read({buffer.get(), size});
    if (!got) return false;
    if (*got == 0) return crc.value() == expected;
    crc.add({buffer.get(), *got});
  }
}

static Result<> mark_partial(const Image& image) {
  for (size_t i = 0; i < image.chunks.size(); ++i) {
    auto chunk = open_chunk(image.chunks[i], O_RDWR);
    if (!chunk) return std::unexpected(std::move(chunk).error());
    chunk->header.partial = true;
    // Where the chain is broken it ends: readers must not look for what is not there.
    if (i + 1 == image.chunks.size()) chunk->header.cont_filename.clear();
    if (auto written = write_chunk_header(chunk->fd.get(), chunk->header, image.chunks[i]); !written)
      return written;
    if (::fsync(chunk->fd.get()) != 0)
      return base::fail_errno(fmt::format("fsync {}", image.chunks[i].native()));
  }
  return {};
}

// Takes ".tmp" off every chunk, the first one's last.
static Result<> take_tmp_off(const Image& image) {
  for (auto chunk = image.chunks.rbegin(); chunk != image.chunks.rend(); ++chunk) {
    if (!has_tmp(*chunk)) continue;
    const fs::path target = without_tmp(*chunk);
    std::error_code ignored;
    if (fs::exists(target, ignored)) {
      return base::fail(ErrorKind::refused, fmt::format("{} exists already", target.native()));
    }
    if (auto renamed = base::rename_file(*chunk, target); !renamed) return renamed;
    if (auto synced = sync_directory(target.parent_path()); !synced) return synced;
  }
  return {};
}

static Recovered recover(const Image& image) {
  Recovered recovered;
  recovered.header = image.header;
  recovered.file = image.file;
  recovered.why = image.fault;
  Result<> outcome;
  if (image.data_bytes == 0) {
    recovered.fate = Recovered::Fate::deleted;
    outcome = delete_image(image);
  } else if (proven_whole(image)) {
    recovered.fate = Recovered::Fate::completed;
    outcome = take_tmp_off(image);
  } else {
    recovered.fate = Recovered::Fate::partial;
    recovered.header.partial = true;
    outcome = mark_partial(image);
    if (outcome) outcome = take_tmp_off(image);
  }
  if (!outcome) {
    recovered.fate = Recovered::Fate::failed;
    recovered.why = outcome.error().what();
  } else if (recovered.fate != Recovered::Fate::deleted) {
    recovered.file = without_tmp(image.file);
  }
  return recovered;
}

std::vector<Recovered> recover_leftovers(std::span<const fs::path> directories) {
  std::vector<Recovered> recovered;
  for (const Image& image : scan(directories).images) {
    if (image.leftover) recovered.push_back(recover(image));
  }
  return recovered;
}

std::string Recovered::text() const {
  std::string name = key_of(header).text();
  switch (fate) {
    case Fate::completed:
      return fmt::format("{} was complete in the holding disk when its run was interrupted; kept as {}", name,
                         file.native());
    case Fate::partial:
      return fmt::format("{} was incomplete when its run was interrupted; kept as a partial dump in {}{}{}",
                         name, file.native(), why.empty() ? "" : ": ", why);
    case Fate::deleted:
      return fmt::format("{} had no data yet when its run was interrupted; {} was removed", name,
                         file.native());
    case Fate::failed:
      return fmt::format("{} was left unfinished in {} and cannot be recovered: {}", name, file.native(),
                         why);
  }
  return name;
}

Result<> delete_image(const Image& image) {
  std::set<fs::path> directories;
  for (const fs::path& chunk : image.chunks) {
    if (auto removed = base::remove_file(chunk); !removed && removed.error().sys_errno() != ENOENT)
      return removed;
    directories.insert(chunk.parent_path());
  }
  for (const fs::path& directory : directories) {
    if (auto removed = remove_if_empty(directory); !removed) return removed;
  }
  return {};
}

}  // namespace headrace::hold
