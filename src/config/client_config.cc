#include "config/client_config.h"

#include <algorithm>

#include "config/parser.h"
#include "config/resolve.h"

namespace headrace::config {
namespace {

constexpr std::string_view kFileName = "amanda-client.conf";

template <class Map>
auto* find_in(const Map& map, std::string_view wanted) {
  const auto found =
      std::find_if(map.begin(), map.end(), [&](const auto& entry) { return same_name(entry.first, wanted); });
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

Loaded<ClientConfig> load_client(const std::filesystem::path& config_dir, std::string_view conf,
                                 std::span<const Override> overrides) {
  Loaded<ClientConfig> loaded;
  Report report(loaded.diagnostics);
  Settings settings;
  settings.global.section = Section::client;
  settings.name = conf;
  settings.file = (config_dir / kFileName).string();
  Parser parser(settings, report, config_dir, overrides);
  parser.read_file(config_dir / kFileName, true, false);
  if (conf.find('/') != std::string_view::npos || conf == "..") {
    // The name comes from a peer: it must not lead out of the directory.
    report.error({settings.file, 0, 0},
                 "the name of a configuration contains '/': '" + std::string(conf) + "'");
  } else if (!conf.empty()) {
    parser.read_file(config_dir / conf / kFileName, true, false);
  }
  parser.finish();
  if (report.errors() == 0) loaded.value = resolve_client(std::move(settings));
  return loaded;
}

const Application* ClientConfig::application(std::string_view name) const {
  return find_in(applications, name);
}
const Script* ClientConfig::script(std::string_view name) const { return find_in(scripts, name); }

}  // namespace headrace::config
