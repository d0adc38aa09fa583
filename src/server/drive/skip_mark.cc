#include "server/drive/skip_mark.h"

#include <fmt/format.h>

#include "base/file.h"
#include "compat/curinfo.h"

namespace headrace::drive {

using base::Result;

std::filesystem::path skip_mark_path(const std::filesystem::path& infofile, std::string_view host,
                                     std::string_view disk) {
  return compat::curinfo_path(infofile, host, disk).parent_path() / "headrace-skip";
}

Result<bool> has_skip_mark(const std::filesystem::path& infofile, std::string_view host,
                           std::string_view disk) {
  const auto path = skip_mark_path(infofile, host, disk);
  std::error_code problem;
  const bool there = std::filesystem::exists(path, problem);
  if (problem) return base::fail_errno(fmt::format("look for {}", path.native()), problem.value());
  return there;
}

Result<> set_skip_mark(const std::filesystem::path& infofile, std::string_view host, std::string_view disk) {
  const auto path = skip_mark_path(infofile, host, disk);
  if (auto made = base::make_directories(path.parent_path(), 0700); !made) return made;
  return base::replace_file(path, {}, 0600);
}

Result<> clear_skip_mark(const std::filesystem::path& infofile, std::string_view host,
                         std::string_view disk) {
  const auto path = skip_mark_path(infofile, host, disk);
  std::error_code problem;
  std::filesystem::remove(path, problem);
  if (problem) return base::fail_errno(fmt::format("remove {}", path.native()), problem.value());
  return {};
}

}  // namespace headrace::drive
