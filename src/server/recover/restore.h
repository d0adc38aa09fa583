// Restoring: reads the dumps of one disk, lowest level first, from holding disk or volumes, undoes encryption
// and compression, and hands the archive to GNU tar or to a descriptor. Every byte passes a checksum; what
// does not have the sum and size that header and log promise is an error, never a good restore. Owned by the
// command; loop thread; volume and file work goes to workers. Memory is that of a few pumps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/server_config.h"
#include "loop/loop.h"
#include "server/catalog/catalog.h"

namespace headrace::recover {

struct RestoreRequest {
  std::vector<catalog::Image> images;  // lowest level first, as Catalog::chain gives them; not empty
  // Of each of `images` all copies, as Catalog::copies_of gives them; empty: each is the only one.
  std::vector<std::vector<catalog::Image>> copies{};
  std::string preferred_storage{};   // its copies before others; "HOLDING": those on holding disk
  std::filesystem::path indexdir{};  // for `paths`
  // Where to: a directory that exists (see check_target), or, if empty, a descriptor (borrowed) that gets the
  // archive of the one image.
  std::filesystem::path to{};
  int to_descriptor = -1;
  // Only these, relative to the disk's root ("sub/x", "/sub", "./sub"); empty: everything.
  std::vector<std::string> paths{};
};

// What is going on, for a terminal; calls come on the loop's thread.
class Progress {
 public:
  virtual ~Progress() = default;
  // A file on a volume, or a holding file, is being read.
  virtual void reading(const catalog::Image& image, const std::string& place) = 0;
  virtual void moved(uint64_t stored_bytes_in_all) = 0;
  // A line the archiver or a filter wrote on its standard error.
  virtual void message(const std::string& line) = 0;
  // `failed` cannot be used, or is not what was written, and `next` is read in its place; `how` says how far
  // that begins again.
  enum class Again : unsigned char {
    nothing,   // nothing of the failed one was unpacked
    this_one,  // what was unpacked of this dump is unpacked again over it
    all,       // all dumps are unpacked again, from the first on
  };
  virtual void other_copy(const catalog::Image& failed, const base::Error& why, const catalog::Image& next,
                          Again again) = 0;
  // One image is complete and its checksums are right (or, where none is known, unproved).
  virtual void restored(const catalog::Image& image, bool checked) = 0;
};

struct RestoreSummary {
  size_t images = 0;  // that were read
  uint64_t stored_bytes = 0;
  uint64_t native_bytes = 0;
  bool all_checked = true;     // false: a dump had no checksum to compare with
  size_t unusable_copies = 0;  // in whose place others were read
};

// Makes the directory if need be. Refused when something is in it, unless `into_existing`: restoring an
// incremental deletes what its dump did not have.
base::Result<> check_target(const std::filesystem::path& to, bool into_existing);

class Restore {
 public:
  using Done = std::move_only_function<void(base::Result<RestoreSummary>)>;
  // `config` (where volumes are) and `progress` outlive it.
  Restore(loop::Loop& loop, const config::ServerConfig& config, RestoreRequest request, Progress& progress);
  ~Restore();  // stops: children are ended, volumes given back
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

  // One image after the other. Of a copy that cannot be had or is not right the next one is taken, as long as
  // that is safe: an archive that tar unpacks may be unpacked again, but of an incremental that was not right
  // nobody knows what it removed, so that after it all dumps are unpacked again; to a descriptor, nothing may
  // have gone. `done` is called once, later. Errors: corrupt, what was read is not what was written, and
  // where it was read from; refused, something is missing or in the way; unsupported, a dump of a kind that
  // can only be had as it is.
  void start(Done done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::recover
