// Reads a server's configuration: finds it, parses its files, fills in defaults, reports every mistake with
// its place. Blocking file reads; call at start, not on a loop.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/diagnostic.h"
#include "config/server_config.h"

namespace headrace::config {

// One `-o KEY=VALUE`: KEY a global name or TYPE:NAME:PARAM; VALUE is configuration text, but for parameters
// that are one string or name, which are taken as they are, quotes included.
struct Override {
  std::string key;
  std::string value;
};

// Splits "KEY=VALUE"; refused when there is no `=` or no key.
base::Result<Override> parse_override(std::string_view text);
base::Result<std::vector<Override>> parse_overrides(std::span<const std::string> texts);

// The directory of a configuration. `name` is a path to a directory (contains a `/`, or is "." ), or a name
// looked up under /etc/headrace, then /etc/amanda, then in the current directory. Refused when there is no
// amanda.conf in it.
base::Result<std::filesystem::path> find_config(std::string_view name);

// Reads `config_dir`/amanda.conf over its parent directory's amanda.conf (the site's), if that exists.
// The files are read in full even when they have mistakes, so that all are reported at once.
Loaded<ServerConfig> load_server(const std::filesystem::path& config_dir,
                                 std::span<const Override> overrides = {});
// The same from text: for tests and fuzzing. Include files are looked up from `directory`.
Loaded<ServerConfig> load_server_text(std::string_view text, const std::filesystem::path& directory,
                                      std::span<const Override> overrides = {});

// A parameter as Amanda's amgetconf prints it, without the final newline: "org", "tapetype:NAME:length",
// "dumptype:NAME:compress". Case and -/_ of the parameter do not matter. Nothing for an unknown one.
std::optional<std::string> value_text(const Settings& settings, std::string_view key);
inline std::optional<std::string> value_text(const ServerConfig& config, std::string_view key) {
  return value_text(config.settings, key);
}
// The whole configuration in the format of `amadmin CONF config`.
std::string config_text(const Settings& settings);
// Names of the blocks of a type ("dumptype", "application-tool", …), as `amgetconf --list` prints them;
// nothing for an unknown type.
std::optional<std::vector<std::string>> block_names(const Settings& settings, std::string_view type);

// A parameter that a file (or -o) sets and that Headrace reads but does not act on yet.
struct NotHonoured {
  Position where;
  std::string parameter;  // "taperscan", "dumptype:NAME:kencrypt"
  std::string value;      // as amgetconf prints it
};
std::vector<NotHonoured> not_honoured(const Settings& settings);
inline std::vector<NotHonoured> not_honoured(const ServerConfig& config) {
  return not_honoured(config.settings);
}

// The same for one dumptype that a disk uses: its defaults that we do not act on are named at `where`, and
// with `with_set` also what its own block sets (an in-line dumptype of a disklist is in no Settings).
std::vector<NotHonoured> not_honoured_in_use(const Settings& settings, const Block& dumptype, bool with_set,
                                             const Position& where);

}  // namespace headrace::config
