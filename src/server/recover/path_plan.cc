#include "server/recover/path_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "compat/index_file.h"

namespace headrace::recover {
namespace {

using base::ErrorKind;
using base::Result;

// What one dump's index says of one path.
struct Seen {
  bool file = false;
  bool directory = false;
  bool parent = false;  // the directory it would be in
};

// One row for each image, one column for each path.
using Sightings = std::vector<std::vector<Seen>>;

// Nothing when the image has no index.
Result<std::optional<std::vector<Seen>>> look(const catalog::Image& image,
                                              const std::filesystem::path& indexdir,
                                              const std::vector<std::string>& paths) {
  auto index = compat::IndexReader::open({.indexdir = indexdir,
                                          .host = image.host,
                                          .disk = image.disk,
                                          .timestamp = image.timestamp,
                                          .level = image.level});
  if (!index) return std::unexpected(std::move(index.error()));
  if (!*index) return std::nullopt;
  std::vector<Seen> seen(paths.size());
  for (;;) {
    const auto line = (*index)->next();
    if (!line) return std::unexpected(line.error());
    if (!*line) return seen;
    std::string_view name = **line;
    if (name.starts_with('/')) name.remove_prefix(1);
    for (size_t i = 0; i < paths.size(); ++i) {
      const std::string& path = paths[i];
      if (name == path) seen[i].file = true;
      if (name.size() > path.size() && name.starts_with(path) && name[path.size()] == '/') {
        seen[i].directory = true;
      }
      const size_t slash = path.rfind('/');
      const std::string_view parent =
          slash == std::string::npos ? std::string_view{} : std::string_view(path).substr(0, slash + 1);
      if (name.starts_with(parent)) seen[i].parent = true;
    }
  }
}

std::unexpected<base::Error> not_there(const std::string& path, const catalog::Image& newest,
                                       const catalog::Image* last) {
  const std::string hint =
      last == nullptr
          ? "; no dump of this chain has it"
          : fmt::format("; it was last there in the dump of {}: give that time with --at", last->timestamp);
  return base::fail(ErrorKind::refused,
                    fmt::format("/{} was not there when {} was made{}", path, newest.text(), hint));
}

// Adds one path to the images it is to be taken from.
Result<> place(const std::string& path, size_t column, const std::vector<catalog::Image>& chain,
               const Sightings& sightings, std::vector<ImagePaths>& plan) {
  const std::string member = "./" + path;
  const size_t newest = chain.size() - 1;
  const auto seen = [&](size_t image) { return sightings[image][column]; };
  if (seen(newest).directory) {
    size_t first = newest;
    while (first > 0 && seen(first - 1).directory) --first;
    for (size_t image = first; image <= newest; ++image) plan[image].members.push_back(member);
    return {};
  }
  for (size_t image = newest;; --image) {
    if (seen(image).file) {
      plan[image].members.push_back(member);
      return {};
    }
    // A directory is in every index while it is there; and without its directory a file cannot be.
    if (seen(image).directory) return not_there(path, chain[newest], &chain[image]);
    if (!seen(image).parent) break;
    if (image == 0) return not_there(path, chain[newest], nullptr);
  }
  for (size_t image = newest; image-- > 0;) {
    if (seen(image).file || seen(image).directory) return not_there(path, chain[newest], &chain[image]);
  }
  return not_there(path, chain[newest], nullptr);
}

}  // namespace

Result<std::string> relative_path(const std::string& path) {
  std::string clean;
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      return base::fail(
          ErrorKind::refused,
          fmt::format("\"{}\": paths are relative to the disk's root and may not lead out of it", path));
    }
    if (!clean.empty()) clean += '/';
    clean += name;
  }
  return clean;
}

Result<std::vector<ImagePaths>> plan_paths(const std::vector<catalog::Image>& chain,
                                           const std::filesystem::path& indexdir,
                                           const std::vector<std::string>& paths) {
  std::vector<ImagePaths> plan(chain.size());
  std::vector<std::string> wanted;
  for (const std::string& path : paths) {
    auto clean = relative_path(path);
    if (!clean) return std::unexpected(std::move(clean.error()));
    if (clean->empty()) return plan;  // the root: everything
    wanted.push_back(*std::move(clean));
  }
  if (wanted.empty()) return plan;
  Sightings sightings;
  bool all_indexed = true;
  for (const catalog::Image& image : chain) {
    auto seen = look(image, indexdir, wanted);
    if (!seen) return std::unexpected(std::move(seen.error()));
    all_indexed = all_indexed && seen->has_value();
    sightings.push_back(seen->value_or(std::vector<Seen>(wanted.size())));
  }
  if (!all_indexed) {
    for (ImagePaths& image : plan) {
      image.may_be_missing = true;
      for (const std::string& path : wanted) image.members.push_back("./" + path);
    }
    return plan;
  }
  for (size_t column = 0; column < wanted.size(); ++column) {
    if (auto placed = place(wanted[column], column, chain, sightings, plan); !placed) {
      return std::unexpected(std::move(placed.error()));
    }
  }
  for (ImagePaths& image : plan) image.needed = !image.members.empty();
  return plan;
}

}  // namespace headrace::recover
