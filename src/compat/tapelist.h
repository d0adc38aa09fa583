// The tapelist: which volumes exist, when each was last written, and whether it may be written again.
// Tapelist is a value (pure); load and update touch the file, blocking briefly. Format: one volume a line,
// newest write timestamp first, `TIMESTAMP LABEL reuse|no-reuse [BARCODE:b] [META:m] [BLOCKSIZE:k] [POOL:p]
// [STORAGE:s] [CONFIG:c] [#comment]`. Source: tapelist(5), observed with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::compat {

struct TapelistEntry {
  std::string timestamp = "0";  // of the run that wrote it: 8 or 14 digits; "0": labelled, not yet used
  std::string label;
  bool reuse = true;
  std::string barcode, meta;  // empty: not written
  int64_t blocksize_kib = 0;  // 0: not written
  std::string pool, storage, config;
  std::string comment;  // may have blanks

  bool used() const { return timestamp != "0"; }
  bool operator==(const TapelistEntry&) const = default;
};

class Tapelist {
 public:
  // `file` is only used in error messages ("FILE:LINE: …"). Entries come out in the order text() writes.
  static base::Result<Tapelist> parse(std::string_view text, std::string_view file);
  std::string text() const;

  // Newest timestamp first; equals in order of insertion.
  const std::vector<TapelistEntry>& entries() const { return entries_; }
  // nullptr: no such label.
  const TapelistEntry* find(std::string_view label) const;

  // Refused when the label is there already, or a value cannot be written (a blank in it).
  base::Result<> add(TapelistEntry entry);
  // Takes the place of the entry of the same label (none: as add); moves to where its timestamp belongs,
  // after its equals.
  base::Result<> put(TapelistEntry entry);
  bool remove(std::string_view label);

 private:
  std::vector<TapelistEntry> entries_;
};

// A file that does not exist is an empty list.
base::Result<Tapelist> load_tapelist(const std::filesystem::path& file);

// Reads the file, lets `change` alter the list, writes it whole (FILE.new, renamed) and points
// FILE.last_write at our pid, all under the lock FILE.lock. When `change` fails nothing is written and its
// error is returned. Waits at most ten seconds for the lock. Returns the list as written.
using TapelistChange = std::function<base::Result<>(Tapelist&)>;
base::Result<Tapelist> update_tapelist(const std::filesystem::path& file, const TapelistChange& change);

}  // namespace headrace::compat
