// Amanda's amandates file: when each disk was last dumped at each level. One line each, "QDISK LEVEL EPOCH",
// sorted by disk. Read by estimates that walk the disk themselves; written after every recorded dump, so that
// either program can go on where the other stopped. Blocking file calls.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace headrace::compat {

class Amandates {
 public:
  // Lines that cannot be read are dropped, as Amanda does.
  static Amandates parse(std::string_view text);
  std::string text() const;

  // Start of the last dump of the disk at this level; 0: none.
  int64_t date_of(const std::string& disk, int level) const;
  // A date never goes back.
  void note(const std::string& disk, int level, int64_t start_seconds);

 private:
  std::map<std::string, std::map<int, int64_t>> dates_;
};

struct DumpDate {
  std::string disk;
  int level = 0;
  int64_t start_seconds = 0;
};

// Notes one dump in the file, under its lock, creating the file when it is missing.
base::Result<> record_dump_date(const std::filesystem::path& amandates, const DumpDate& dump);

}  // namespace headrace::compat
