// The directory of one run on a holding disk: its name, and the `pid` file that says which process owns it.
// Blocking file calls; at start or on a worker. Source: behaviour of Amanda 3.5.1, which honours our `pid` as
// we honour its.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace headrace::hold {

inline constexpr std::string_view kPidFile = "pid";

// Whether the name is 8 or 14 digits and a date between 1990 and 2100.
bool is_date_name(std::string_view name);

struct DateOwner {
  enum class Who {
    nobody,  // no pid file, one of a dead process, or one without a pid
    us,      // this process or its parent
    other,   // a live process
  } who = Who::nobody;
  pid_t pid = 0;
};
DateOwner owner_of(const std::filesystem::path& date_directory);

// Makes the directory (0700) when missing, but not the holding disk's that it stands in: of a disk that is
// not mounted, that would fill another file system, and hide what is in it once the disk is back.
base::Result<> make_date_directory(const std::filesystem::path& date_directory);
// Makes the directory likewise, and its pid file. Error again: a live process owns it.
base::Result<> claim(const std::filesystem::path& date_directory);
// Removes our pid file, and the directory when it is empty then. Another's pid file stays.
base::Result<> leave(const std::filesystem::path& date_directory);
// Removes the pid file of a run that is known to have died, if it still names that run's process: the number
// may belong to another one by now, which would keep the directory from everybody.
base::Result<> disown(const std::filesystem::path& date_directory, pid_t dead);
// Removes the directory when nothing is in it but a dead process's pid file.
base::Result<> remove_if_empty(const std::filesystem::path& date_directory);

}  // namespace headrace::hold
