#include "cli/config_command.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "config/disklist.h"
#include "config/load.h"

namespace headrace::cli {
namespace {

using config::Diagnostic;
using config::NotHonoured;
using Json = nlohmann::ordered_json;

struct Checked {
  std::string name, directory;
  std::vector<Diagnostic> diagnostics;
  std::vector<NotHonoured> not_honoured;
  size_t disks = 0;

  size_t errors() const {
    return static_cast<size_t>(
        std::count_if(diagnostics.begin(), diagnostics.end(),
                      [](const Diagnostic& diagnostic) { return !diagnostic.warning; }));
  }
};

config::Loaded<config::ServerConfig> load(const std::string& name, std::span<const std::string> overrides) {
  config::Loaded<config::ServerConfig> loaded;
  const auto refuse = [&](const base::Error& error) {
    loaded.diagnostics.push_back(
        {.file = name, .line = 0, .column = 0, .warning = false, .message = error.what()});
    return loaded;
  };
  const auto parsed = config::parse_overrides(overrides);
  if (!parsed) return refuse(parsed.error());
  const auto directory = config::find_config(name);
  if (!directory) return refuse(directory.error());
  return config::load_server(*directory, *parsed);
}

Checked check(const std::string& name, std::span<const std::string> overrides) {
  Checked checked;
  auto loaded = load(name, overrides);
  checked.name = name;
  checked.diagnostics = std::move(loaded.diagnostics);
  if (!loaded.ok()) return checked;
  checked.name = loaded->name;
  checked.directory = loaded->directory.string();
  checked.not_honoured = config::not_honoured(*loaded);
  const auto disks = config::load_disklist(*loaded);
  checked.diagnostics.insert(checked.diagnostics.end(), disks.diagnostics.begin(), disks.diagnostics.end());
  if (!disks.ok()) return checked;
  checked.disks = disks->size();
  // A default is named once for each dumptype, with the first disk that uses it.
  std::set<std::string> seen;
  for (const config::DiskListEntry& entry : *disks)
    for (const NotHonoured& one : entry.not_honoured)
      if (seen.insert(one.parameter).second) checked.not_honoured.push_back(one);
  return checked;
}

Json to_json(const Diagnostic& diagnostic) {
  return {{"file", diagnostic.file},
          {"line", diagnostic.line},
          {"column", diagnostic.column},
          {"message", diagnostic.message}};
}

// File names and strings of a configuration may be in any encoding.
std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

void print_json(const Checked& checked) {
  Json json{{"config", checked.name},       {"directory", checked.directory}, {"ok", checked.errors() == 0},
            {"disks", checked.disks},       {"errors", Json::array()},        {"warnings", Json::array()},
            {"not_honoured", Json::array()}};
  for (const Diagnostic& diagnostic : checked.diagnostics)
    json[diagnostic.warning ? "warnings" : "errors"].push_back(to_json(diagnostic));
  for (const NotHonoured& one : checked.not_honoured)
    json["not_honoured"].push_back({{"file", one.where.file},
                                    {"line", one.where.line},
                                    {"parameter", one.parameter},
                                    {"value", one.value}});
  fmt::print("{}\n", dump(json));
}

void print_text(const Checked& checked) {
  for (const Diagnostic& diagnostic : checked.diagnostics) fmt::print(stderr, "{}\n", diagnostic.text());
  if (checked.errors() > 0) {
    fmt::print(stderr, "{}: {} mistake{}\n", checked.name, checked.errors(),
               checked.errors() == 1 ? "" : "s");
    return;
  }
  if (!checked.not_honoured.empty()) {
    fmt::print("Accepted, but not acted on yet:\n");
    for (const NotHonoured& one : checked.not_honoured) {
      std::string value = one.value;
      std::replace(value.begin(), value.end(), '\n', ' ');
      fmt::print("  {}: {} = {}\n", one.where.text(), one.parameter, value);
    }
  }
  fmt::print("{}: no mistake, {} disk{}\n", checked.directory, checked.disks, checked.disks == 1 ? "" : "s");
}

// Says what is wrong, and whether there is a configuration to go on with.
bool usable(const config::Loaded<config::ServerConfig>& loaded) {
  for (const Diagnostic& diagnostic : loaded.diagnostics) fmt::print(stderr, "{}\n", diagnostic.text());
  return loaded.ok();
}

}  // namespace

int config_check(const std::string& config, bool json, std::span<const std::string> overrides) {
  const Checked checked = check(config, overrides);
  if (json) {
    print_json(checked);
  } else {
    print_text(checked);
  }
  return checked.errors() == 0 ? 0 : 1;
}

int config_get(const std::string& config, const std::string& key, bool list, bool json,
               std::span<const std::string> overrides) {
  const auto loaded = load(config, overrides);
  if (!usable(loaded)) return 1;
  if (list) {
    const auto names = config::block_names(loaded->settings, key);
    if (!names) {
      fmt::print(stderr, "no such type \"{}\"\n", key);
      return 1;
    }
    if (json) fmt::print("{}\n", dump(Json(*names)));
    for (const std::string& name : *names)
      if (!json) fmt::print("{}\n", name);
    return 0;
  }
  const auto value = config::value_text(*loaded, key);
  if (!value) {
    fmt::print(stderr, "no such parameter \"{}\"\n", key);
    return 1;
  }
  fmt::print("{}\n", json ? dump(Json{{"parameter", key}, {"value", *value}}) : *value);
  return 0;
}

int config_show(const std::string& config, std::span<const std::string> overrides) {
  const auto loaded = load(config, overrides);
  if (!usable(loaded)) return 1;
  fmt::print("{}", config::config_text(loaded->settings));
  return 0;
}

}  // namespace headrace::cli
