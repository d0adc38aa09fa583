// What is where: every dump that the tapelist, the run logs and the holding disks know of, held in memory.
// Those files are the truth (Amanda's tools read and write them too); the catalog is loaded for one question
// or one command and never written. A value; load() blocks on file work. Rules of what counts:
// doc/decisions/0003-catalog-from-amandas-files.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"

namespace headrace::config {
struct ServerConfig;
}

namespace headrace::catalog {

class LogMemory;

struct Sources {
  std::string config_name;  // storage and pool of logs too old to name them
  std::filesystem::path logdir;
  std::filesystem::path tapelist;
  std::vector<std::filesystem::path> holding_directories;

  static Sources of(const config::ServerConfig& config);
};

enum class ImageStatus {
  ok,
  partial,       // the dump itself was cut, or not all of it got to its place
  failed,        // writing it failed
  missing_part,  // said to be complete, but a part is not there
  unfinished,    // parts, and no word about the end: the run was cut short
};
std::string_view name_of(ImageStatus status);

// One file on a volume.
struct Part {
  std::string label;
  std::string write_timestamp;  // of the volume; it must still have it
  int64_t fileno = 0;
  int64_t number = 1;
  int64_t total = -1;
  uint64_t bytes = 0;  // without header
  bool ok = true;      // false: writing this part failed and it comes again
};

// One copy of one dump.
struct Image {
  std::string host, disk;
  std::string timestamp;  // of the dump
  int level = 0;
  std::string storage, pool;  // "HOLDING" when on a holding disk
  ImageStatus status = ImageStatus::ok;
  std::string reason;       // why not ok, as far as known
  int64_t native_kib = -1;  // -1: unknown
  uint64_t bytes = 0;       // stored, without headers
  // Unknown when their value is 0.
  base::CrcAndSize native_crc, client_crc, server_crc;
  std::vector<Part> parts;             // by number; failed ones included. Empty: on a holding disk
  std::filesystem::path holding_file;  // the first chunk; empty: on volumes

  bool held() const { return !holding_file.empty(); }
  // "client.lab:/home of 20261123013159 level 0"
  std::string text() const;
  // "in storage far", "on holding disk"
  std::string where() const;
};

// A dump that a run log says succeeded on its client, whether or not a copy is left.
struct DumpFact {
  std::string host, disk, timestamp;
  int level = 0;
};

// A dump that did not get to anywhere, as the log tells it.
struct FailedDump {
  std::string host, disk, timestamp;
  int level = 0;
  std::string program;
  std::string reason;
};

class Catalog {
 public:
  // By host, disk, newest dump first, then level, storage.
  const std::vector<Image>& images() const { return images_; }
  const std::vector<FailedDump>& failed() const { return failed_; }
  // What could not be read or made no sense, for the operator; the rest counts.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // All copies of dumps of a disk, newest first.
  std::vector<const Image*> images_of(std::string_view host, std::string_view disk) const;
  // The dumps of a disk that are dated after `moment` (14 digits), by date and level: those that a log says
  // succeeded, and those there are whole images of.
  std::vector<DumpFact> dated_after(std::string_view host, std::string_view disk,
                                    std::string_view moment) const;
  // All copies of the dump that `image` is one of, whatever their state.
  std::vector<Image> copies_of(const Image& image) const;
  // The dumps that together give the disk as it was at `at` (14 digits; empty: now), lowest level first: the
  // newest dump at or before then, before it the newest of a lower level made before that one, down to level
  // 0. Of several copies the best: complete, held before on a volume. Refused, in a sentence that names the
  // dump, when one that is needed is incomplete or no copy of it is left, or there is none at all.
  base::Result<std::vector<Image>> chain(std::string_view host, std::string_view disk,
                                         std::string_view at) const;
  // The newest complete dump at or before `at`, of `level` if given: for those who want one dump as it is.
  base::Result<Image> newest(std::string_view host, std::string_view disk, std::string_view at,
                             std::optional<int> level) const;

 private:
  friend class Loader;
  std::unexpected<base::Error> none_known(std::string_view host, std::string_view disk,
                                          std::string_view at) const;
  std::vector<Image> images_;
  std::vector<DumpFact> facts_;  // by host, disk
  std::vector<FailedDump> failed_;
  std::vector<std::string> warnings_;
};

// Missing files are empty ones; a tapelist that does not parse is an error, a log or holding file that does
// not is a warning. Who loads it again and again keeps a `memory` (log_memory.h), so that logs that are as
// they were are not read again.
base::Result<Catalog> load(const Sources& sources, LogMemory* memory = nullptr);

}  // namespace headrace::catalog
