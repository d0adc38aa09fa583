// What the configuration files said, parameter by parameter, before names are resolved: one Value for each
// option of each block, with its place. Made by the parser (parser.h), read by resolve and render.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "config/diagnostic.h"
#include "config/values.h"

namespace headrace::config {

// Where parameters may stand. `global` is the file itself, `client` the file amanda-client.conf.
enum class Section {
  global,
  tapetype,
  dumptype,
  interface,
  holdingdisk,
  application,
  script,
  device,
  changer,
  interactivity,
  taperscan,
  policy,
  storage,
  client,
};

struct Rates {
  double full = 0.5;
  double incr = 0.5;
  bool operator==(const Rates&) const = default;
};

// What a parameter can hold. Enumerations are kept as their canonical word in a string ("CLIENT FAST").
using Data = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<std::string>, Rates,
                          PortRange, Properties, PatternLists, HostLimit, Autolabel, Labelstr,
                          std::vector<DumpSelection>, std::vector<Vault>>;

struct Value {
  Data data{};
  bool set = false;  // by a file or the command line; otherwise the default
  Position where{};  // of the last setting
};

// One block, or the file's own parameters. Keyed by the option's canonical name (option_table.h).
struct Block {
  Section section = Section::global;
  std::string name{};
  Position where{};
  bool built_in = false;   // not written by anybody
  bool anonymous = false;  // an in-line block
  std::map<std::string, Value, std::less<>> values{};

  const Value* find(std::string_view option) const;
};

struct Settings {
  std::string name{};           // the configuration's: the directory's last element
  std::string file{};           // the main file's path
  Block global{};               // section client for amanda-client.conf
  std::vector<Block> blocks{};  // in order of definition

  // Compares the name as Amanda does: without case. nullptr when there is none.
  const Block* find(Section section, std::string_view name) const;
};

}  // namespace headrace::config
