// What is in the holding disks: images, what a crash left, what belongs to nobody. Finds, recovers and
// deletes; reads headers only, except to prove a left-over whole. Blocking file calls: at start, or on a
// worker. Does not know what should be flushed.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/hold/chunk_file.h"
#include "wire/dump_header.h"

namespace headrace::hold {

struct Image {
  std::filesystem::path file;                 // the first chunk, as it is named on disk
  wire::DumpHeader header;                    // of the first chunk
  std::vector<std::filesystem::path> chunks;  // as named on disk, in order
  uint64_t data_bytes = 0;
  uint64_t kib = 0;       // what the files take, headers included
  bool partial = false;   // says so itself, or its chain is broken
  bool leftover = false;  // not finished: still ".tmp", at least in part
  std::string fault;      // why the chain is broken; empty when it is whole
};

// A file or directory that is no image and no part of one.
struct Cruft {
  std::filesystem::path path;
  std::string why;
};

struct Holdings {
  std::vector<Image> images;  // by date directory, then name
  std::vector<Cruft> cruft;
  std::vector<Cruft> not_ours;  // date directories of a live process: looked at by nobody else
};

// Reads all holding disks. A holding disk that is missing or cannot be read becomes a cruft entry.
Holdings scan(std::span<const std::filesystem::path> directories);

// The image whose first chunk is `file`.
base::Result<Image> read_image(const std::filesystem::path& file);

struct Recovered {
  std::filesystem::path file;  // its name now, or what it was when deleted
  wire::DumpHeader header;
  enum class Fate {
    completed,  // all of it was there, proven by its checksum: only the names were missing
    partial,    // kept, marked PARTIAL=YES
    deleted,    // nothing but a header
    failed,     // left as it is; `why` says what went wrong
  } fate = Fate::partial;
  std::string why;
  std::string text() const;  // a sentence for the report
};
// Deals with every left-over ".tmp" image in directories no other live process owns, as amcleanupdisk does.
// To be called before this process writes images of its own: it would take them for left-overs.
std::vector<Recovered> recover_leftovers(std::span<const std::filesystem::path> directories);

// Removes the image's files, the first chunk first, and its date directories when they are empty then.
base::Result<> delete_image(const Image& image);

}  // namespace headrace::hold
