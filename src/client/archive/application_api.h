// Amanda's Application API, from the side of whoever runs an application: what it answers to "support", and
// the command lines that follow from that and from a DLE. Pure, but for plugin_path. Source: amanda
// applications' observed behaviour with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "client/request.h"

namespace headrace::client {

// What an application says it understands.
class Support {
 public:
  // Lines "KEY VALUE"; what cannot be read is dropped, as Amanda does.
  static Support parse(std::string_view text);
  bool has(std::string_view key) const;
  int max_level() const { return max_level_; }

 private:
  std::map<std::string, bool, std::less<>> flags_{{"CONFIG", true}, {"HOST", true}, {"DISK", true}};
  int max_level_ = 0;
};

enum class PluginCommand { selfcheck, estimate, backup };

struct PluginCall {
  const wire::Dle& dle;
  const std::vector<wire::Property>& properties;  // merged, see application_properties
  const ClientRequest& request;
  std::vector<int> levels = {};
  int state_fd = -1;      // where the application writes its state; -1: it should not
  bool calcsize = false;  // estimate by walking
};

// argv. Refused: the DLE needs what the application does not support.
base::Result<std::vector<std::string>> plugin_arguments(PluginCommand command, const PluginCall& call,
                                                        const Support& support);

// The program of the DLE's application, or nothing when we do its work ourselves: amgtar as root, or where
// no such program is installed. Refused: a name that is no file name.
base::Result<std::optional<std::filesystem::path>> plugin_path(const ClientPaths& paths, const wire::Dle& dle,
                                                               bool root);

// Output of "estimate": KiB by level (see wire/sendsize.h for negative ones), and ERROR lines.
struct PluginEstimates {
  std::map<int, int64_t> kib;
  std::vector<std::string> errors;
};
// `level` is what lines of the older form, without a level, are about.
PluginEstimates parse_plugin_estimates(std::string_view text, int level);

}  // namespace headrace::client
