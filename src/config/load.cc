#include "config/load.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "config/parser.h"
#include "config/resolve.h"

namespace headrace::config {
namespace {

constexpr std::string_view kFileName = "amanda.conf";
constexpr std::string_view kConfigRoots[] = {"/etc/headrace", "/etc/amanda"};

// Absolute, without a final slash, so that the last element is the configuration's name.
std::filesystem::path tidy(const std::filesystem::path& directory) {
  std::error_code ignored;  // an unreachable current directory leaves the path as it is
  std::filesystem::path absolute = std::filesystem::absolute(directory, ignored).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  return absolute;
}

template <class Read>
Loaded<ServerConfig> load(const std::filesystem::path& config_dir, std::span<const Override> overrides,
                          Read read) {
  Loaded<ServerConfig> loaded;
  Report report(loaded.diagnostics);
  const std::filesystem::path directory = tidy(config_dir);
  Settings settings;
  settings.name = directory.filename().string();
  settings.file = (directory / kFileName).string();
  add_built_in_dumptypes(settings);
  Parser parser(settings, report, directory, overrides);
  read(parser, directory);
  parser.finish();
  add_implicit_blocks(settings);
  check_settings(settings, report);
  if (report.errors() == 0) loaded.value = resolve_server(std::move(settings), directory);
  return loaded;
}

template <class Map>
auto* find_in(const Map& map, std::string_view wanted) {
  const auto found =
      std::find_if(map.begin(), map.end(), [&](const auto& entry) { return same_name(entry.first, wanted); });
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

base::Result<std::filesystem::path> find_config(std::string_view name) {
  if (name.empty()) return base::fail(base::ErrorKind::refused, "the name of a configuration is empty");
  std::vector<std::filesystem::path> places;
  if (name == "." || name.find('/') != std::string_view::npos) {
    places.emplace_back(name);
  } else {
    for (const std::string_view root : kConfigRoots) places.push_back(std::filesystem::path(root) / name);
    // Last, so that a directory that happens to lie about never hides an installed configuration.
    places.push_back(std::filesystem::path(".") / name);
  }
  std::string looked;
  for (const auto& place : places) {
    const std::filesystem::path file = place / kFileName;
    if (::access(file.c_str(), F_OK) == 0) return tidy(place);
    looked += (looked.empty() ? "" : " and ") + file.string();
  }
  return base::fail(base::ErrorKind::refused,
                    fmt::format("no configuration '{}': looked for {}", name, looked));
}

Loaded<ServerConfig> load_server(const std::filesystem::path& config_dir,
                                 std::span<const Override> overrides) {
  return load(config_dir, overrides, [](Parser& parser, const std::filesystem::path& directory) {
    parser.read_file(directory.parent_path() / kFileName, true, true);
    parser.read_file(directory / kFileName, false, false);
  });
}

Loaded<ServerConfig> load_server_text(std::string_view text, const std::filesystem::path& directory,
                                      std::span<const Override> overrides) {
  return load(directory, overrides, [&](Parser& parser, const std::filesystem::path&) {
    parser.read_text(text, std::string(kFileName));
  });
}

const Dumptype* ServerConfig::dumptype(std::string_view wanted) const { return find_in(dumptypes, wanted); }
const Tapetype* ServerConfig::tapetype(std::string_view wanted) const { return find_in(tapetypes, wanted); }
const Interface* ServerConfig::interface_named(std::string_view wanted) const {
  return find_in(interfaces, wanted);
}
const Storage* ServerConfig::storage_named(std::string_view wanted) const {
  return find_in(storages, wanted);
}
const Device* ServerConfig::device(std::string_view wanted) const { return find_in(devices, wanted); }

const Storage& ServerConfig::first_storage() const { return *storages_in_use().front(); }

namespace {

void add_storages(const ServerConfig& config, const std::vector<std::string>& names,
                  std::vector<const Storage*>& to) {
  for (const auto& name : names) {
    const Storage* storage = config.storage_named(name);
    if (storage != nullptr && std::ranges::find(to, storage) == to.end()) to.push_back(storage);
  }
}

}  // namespace

std::vector<const Storage*> ServerConfig::storages_in_use() const {
  std::vector<const Storage*> found;
  add_storages(*this, storage, found);
  HEADRACE_CHECK(!found.empty());
  return found;
}

std::vector<const Storage*> ServerConfig::storages_with_active() const {
  auto found = storages_in_use();
  add_storages(*this, active_storage, found);
  return found;
}

bool selects(const Storage& storage, const std::vector<std::string>& tags, int level) {
  if (storage.dump_selections.empty()) return true;
  return std::ranges::any_of(storage.dump_selections, [&](const DumpSelection& it) {
    const bool of_level = it.level == DumpLevel::all || (it.level == DumpLevel::full) == (level == 0);
    switch (it.kind) {
      case DumpSelection::Kind::all:
        return of_level;
      case DumpSelection::Kind::tag:
        return of_level && (tags.empty() || std::ranges::find(tags, it.tag) != tags.end());
      case DumpSelection::Kind::other:
        break;
    }
    return false;
  });
}

}  // namespace headrace::config
