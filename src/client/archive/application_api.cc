#include "client/archive/application_api.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "base/quote.h"
#include "wire/sendsize.h"

namespace headrace::client {
namespace {

using Arguments = std::vector<std::string>;

std::string_view take_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  return line;
}

std::optional<int64_t> read_number(std::string_view word) {
  int64_t number = 0;
  auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || stop != word.data() + word.size()) return std::nullopt;
  return number;
}

base::Result<> add_selection(Arguments& out, std::string_view noun, const wire::Selection& selection,
                             const Support& support) {
  if (selection.empty()) return {};
  std::string key(noun);
  std::ranges::transform(key, key.begin(), [](unsigned char c) { return std::toupper(c); });
  struct Half {
    const char* kind;
    const char* option;
    const std::vector<std::string>& entries;
  };
  for (const Half& half :
       {Half{"-FILE", "-file", selection.files}, Half{"-LIST", "-list", selection.lists}}) {
    if (half.entries.empty()) continue;
    if (!support.has(key + half.kind)) {
      return base::fail(base::ErrorKind::refused,
                        fmt::format("the application doesn't support {}{}", noun, half.option));
    }
    for (const std::string& entry : half.entries) {
      out.insert(out.end(), {fmt::format("--{}{}", noun, half.option), entry});
    }
  }
  if (selection.optional && support.has(key + "-OPTIONAL")) {
    out.insert(out.end(), {fmt::format("--{}-optional", noun), "yes"});
  }
  return {};
}

std::string option_of(std::string_view property) {
  std::string out = "--";
  for (char c : property)
    out += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

void add_host_and_disk(Arguments& out, PluginCommand command, const PluginCall& call,
                       const Support& support) {
  const wire::RequestOptions& options = call.request.wire.options;
  auto add = [&out](const char* option, const std::string& value) { out.insert(out.end(), {option, value}); };
  if (support.has("CONFIG") && !options.config.empty()) add("--config", options.config);
  if (command != PluginCommand::selfcheck && support.has("TIMESTAMP") && !options.timestamp.empty()) {
    add("--timestamp", options.timestamp);
  }
  if (support.has("HOST")) add("--host", call.request.hostname);
  if (support.has("DISK")) add("--disk", call.dle.disk);
  add("--device", call.dle.device_or_disk());
}

}  // namespace

Support Support::parse(std::string_view text) {
  Support out;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view key = base::take_word(line);
    const std::string_view value = base::take_word(line);
    if (key == "MAX-LEVEL") {
      out.max_level_ =
          static_cast<int>(std::clamp<int64_t>(read_number(value).value_or(0), 0, wire::kMaxLevel));
    } else if (value == "YES" || value == "NO") {
      out.flags_[std::string(key)] = value == "YES";
    }
  }
  return out;
}

bool Support::has(std::string_view key) const {
  auto found = flags_.find(key);
  return found != flags_.end() && found->second;
}

base::Result<std::vector<std::string>> plugin_arguments(PluginCommand command, const PluginCall& call,
                                                        const Support& support) {
  static constexpr const char* kNames[] = {"selfcheck", "estimate", "backup"};
  Arguments out{call.dle.application.plugin, kNames[static_cast<int>(command)]};
  const bool json = command == PluginCommand::selfcheck && support.has("MESSAGE-SELFCHECK-JSON");
  if (json || support.has("MESSAGE-LINE")) out.insert(out.end(), {"--message", json ? "json" : "line"});
  add_host_and_disk(out, command, call, support);
  for (int level : call.levels) {
    if (level > support.max_level()) {
      return base::fail(base::ErrorKind::refused,
                        fmt::format("the application can dump only up to level {}", support.max_level()));
    }
    out.insert(out.end(), {"--level", std::to_string(level)});
  }
  if (command != PluginCommand::estimate) {
    if (call.dle.index && support.has("INDEX-LINE")) out.insert(out.end(), {"--index", "line"});
    if (call.state_fd >= 0 && support.has("STATE-STREAM")) {
      out.insert(out.end(), {"--state-stream", std::to_string(call.state_fd)});
    }
    if (call.dle.record && support.has("RECORD")) out.emplace_back("--record");
  }
  if (call.calcsize && support.has("CALCSIZE")) out.emplace_back("--calcsize");
  for (const auto& [noun, selection] :
       {std::pair{"include", &call.dle.include}, std::pair{"exclude", &call.dle.exclude}}) {
    if (auto added = add_selection(out, noun, *selection, support); !added) {
      return std::unexpected(std::move(added).error());
    }
  }
  if (support.has("AMFEATURES")) out.insert(out.end(), {"--amfeatures", call.request.peer.hex()});
  for (const wire::Property& property : call.properties) {
    for (const std::string& value : property.values) {
      out.insert(out.end(), {option_of(property.name), value});
    }
  }
  return out;
}

base::Result<std::optional<std::filesystem::path>> plugin_path(const ClientPaths& paths, const wire::Dle& dle,
                                                               bool root) {
  const std::string& name = dle.application.plugin;
  if (name.empty() || name.starts_with('.') || name.find('/') != std::string::npos) {
    return base::fail(base::ErrorKind::refused,
                      fmt::format("Application {} is no file name", base::quote(name)));
  }
  const std::filesystem::path path = paths.application_dir / name;
  if (name == "amgtar" && (root || ::access(path.c_str(), X_OK) != 0)) return std::nullopt;
  return path;
}

PluginEstimates parse_plugin_estimates(std::string_view text, int level) {
  PluginEstimates out;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (line.starts_with("ERROR ")) {
      out.errors.emplace_back(line.substr(6));
      continue;
    }
    std::vector<int64_t> numbers;
    for (std::string_view word = base::take_word(line); !word.empty(); word = base::take_word(line)) {
      auto number = read_number(word);
      if (!number) break;
      numbers.push_back(*number);
    }
    if (numbers.size() == 2) numbers.insert(numbers.begin(), level);
    if (numbers.size() != 3) continue;
    const int64_t size = numbers[1];
    const int64_t block = numbers[2];
    if (size == wire::kImpossibleLevel && block == wire::kImpossibleLevel) {
      out.kib[static_cast<int>(numbers[0])] = wire::kImpossibleLevel;
    } else if (size <= 0 || block <= 0 || size > INT64_MAX / block) {
      out.kib[static_cast<int>(numbers[0])] = wire::kNoEstimate;
    } else {
      out.kib[static_cast<int>(numbers[0])] = size * block;
    }
  }
  return out;
}

}  // namespace headrace::client
