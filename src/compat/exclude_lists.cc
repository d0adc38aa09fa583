#include "compat/exclude_lists.h"

#include <glob.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/file.h"
#include "base/quote.h"

namespace headrace::compat {
namespace {

constexpr size_t kMaxListBytes = size_t{16} << 20U;

// What the pattern languages of glob(3) take specially.
std::string escape_glob(std::string_view path) {
  std::string out;
  for (char c : path) {
    if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Each non-empty line of each list.
template <class Take>
void each_listed(const wire::Selection& selection, const std::filesystem::path& directory,
                 std::string_view noun, PatternFile& file, const Take& take) {
  for (const std::string& name : selection.lists) {
    // An absolute name replaces the directory.
    const std::filesystem::path path = directory / name;
    auto text = base::read_file(path, kMaxListBytes);
    if (!text) {
      if (selection.optional && text.error().sys_errno() == ENOENT) continue;
      file.complaints.push_back(
          fmt::format("{} list '{}' cannot be used: {}", noun, path.native(), text.error().what()));
      continue;
    }
    std::string_view rest = *text;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      if (end > 0) take(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
}

void add(PatternFile& file, std::string_view pattern) {
  file.text += escape_pattern(pattern);
  file.text += '\n';
  ++file.patterns;
}

// Adds what "./pattern" matches; false when nothing.
bool expand(const std::filesystem::path& directory, std::string_view pattern, PatternFile& file) {
  std::string prefix = directory.native();
  if (!prefix.ends_with('/')) prefix += '/';
  const std::string whole = escape_glob(prefix) + std::string(pattern.substr(2));
  glob_t found{};
  const bool any = ::glob(whole.c_str(), 0, nullptr, &found) == 0;
  for (size_t i = 0; any && i < found.gl_pathc; ++i) {
    add(file, fmt::format("./{}", std::string_view(found.gl_pathv[i]).substr(prefix.size())));
  }
  ::globfree(&found);
  return any;
}

}  // namespace

std::string escape_pattern(std::string_view pattern) {
  const std::string quoted = base::quote_always(pattern);
  return quoted.substr(1, quoted.size() - 2);
}

PatternFile exclude_patterns(const wire::Selection& exclude, const std::filesystem::path& directory) {
  PatternFile file;
  for (const std::string& pattern : exclude.files) add(file, pattern);
  each_listed(exclude, directory, "exclude", file, [&file](std::string_view line) { add(file, line); });
  return file;
}

PatternFile include_names(const wire::Selection& include, const std::filesystem::path& directory,
                          bool tar_sees_more) {
  PatternFile file;
  auto take = [&](std::string_view pattern) {
    if (!pattern.starts_with("./") || pattern.size() < 3) {
      if (!include.optional) {
        file.complaints.push_back(
            fmt::format("include must start with './' when doing a non-optional include: {}", pattern));
      }
      return;
    }
    if (expand(directory, pattern, file)) return;
    if (tar_sees_more && pattern.find('/', 2) != std::string_view::npos) {
      add(file, pattern);
    } else if (!include.optional) {
      file.complaints.push_back(
          fmt::format("include '{}' matches nothing in {}", pattern, directory.native()));
    }
  };
  for (const std::string& pattern : include.files) take(pattern);
  each_listed(include, directory, "include", file, take);
  return file;
}

}  // namespace headrace::compat
