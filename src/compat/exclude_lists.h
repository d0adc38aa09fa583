// The files that tell GNU tar what to leave out (--exclude-from) and what alone to take (--files-from), made
// from a DLE's exclude and include elements as Amanda makes them. Reads list files and expands patterns on
// the disk: blocking, use on a worker thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/dle.h"

namespace headrace::compat {

struct PatternFile {
  std::string text;  // one pattern a line
  size_t patterns = 0;
  // What the operator should know: a list that is missing, an include that matches nothing. Empty when all
  // is well or the DLE calls it optional.
  std::vector<std::string> complaints;
};

// A pattern as a line of such a file: escaped as Amanda's quoting does it, without the quotes around it.
std::string escape_pattern(std::string_view pattern);

// All patterns of `exclude`: its files, then the lines of its lists. A relative list is one of `directory`.
PatternFile exclude_patterns(const wire::Selection& exclude, const std::filesystem::path& directory);

// All names that `include` asks for, its patterns expanded in `directory`. Each must begin with "./". A
// pattern below the top that matches nothing readable for us is passed on as it is when `tar_sees_more`: tar
// runs with more rights than we have.
PatternFile include_names(const wire::Selection& include, const std::filesystem::path& directory,
                          bool tar_sees_more);

}  // namespace headrace::compat
