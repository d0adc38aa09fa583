// The operator's wish that a disk be left out of the next run. Amanda's records have no place for it, so it
// is an empty file beside them, `<infofile>/<host>/<disk>/headrace-skip`, where Amanda's tools read nothing
// but `info` (observed with 3.5.1). Blocks.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace headrace::drive {

// The file, whether it is there or not.
std::filesystem::path skip_mark_path(const std::filesystem::path& infofile, std::string_view host,
                                     std::string_view disk);
base::Result<bool> has_skip_mark(const std::filesystem::path& infofile, std::string_view host,
                                 std::string_view disk);
// Makes the directories. Neither setting it twice nor taking away what is not there is an error.
base::Result<> set_skip_mark(const std::filesystem::path& infofile, std::string_view host,
                             std::string_view disk);
base::Result<> clear_skip_mark(const std::filesystem::path& infofile, std::string_view host,
                               std::string_view disk);

}  // namespace headrace::drive
