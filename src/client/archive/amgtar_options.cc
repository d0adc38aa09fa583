#include "client/archive/amgtar_options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "base/quote.h"

namespace headrace::client {
namespace {

using Values = std::vector<std::string>;

std::string upper(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '_' ? '-' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

// Options of tar that take a command to run, beside Amanda's list also --checkpoint-action=exec=….
constexpr std::array<std::string_view, 7> kRejected = {
    "--rsh-command", "--to-command",           "--info-script",      "--new-volume-script",
    "--rmt-command", "--use-compress-program", "--checkpoint-action"};
// tar's short letters for those: -F COMMAND, -I PROGRAM.
constexpr std::string_view kRejectedLetters = "FI";
// Short letters whose argument may follow in the same word; what comes after them is no letter.
constexpr std::string_view kLettersWithArgument = "bCfgHKLNTVX";

std::optional<bool> read_bool(std::string_view text) {
  const std::string word = upper(text);
  for (const char* yes : {"YES", "Y", "TRUE", "T", "ON", "1"}) {
    if (word == yes) return true;
  }
  for (const char* no : {"NO", "N", "FALSE", "F", "OFF", "0"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

base::Result<> set_exit_handling(AmgtarOptions& options, const Values& values) {
  for (const std::string& value : values) {
    for (std::string_view word : base::split_quoted(value)) {
      const size_t equals = word.find('=');
      int code = 0;
      auto [stop, error] = std::from_chars(word.data(), word.data() + std::min(equals, word.size()), code);
      const std::string verdict = equals == word.npos ? "" : upper(word.substr(equals + 1));
      if (error != std::errc() || stop != word.data() + equals || (verdict != "GOOD" && verdict != "BAD")) {
        return base::fail(
            base::ErrorKind::refused,
            fmt::format("bad EXIT-HANDLING property value '{}': expected CODE=GOOD or CODE=BAD", word));
      }
      options.exit_good[code] = verdict == "GOOD";
    }
  }
  return {};
}

base::Result<> set_command_options(AmgtarOptions& options, const Values& values) {
  for (const std::string& value : values) {
    if (is_rejected_tar_option(value)) {
      return base::fail(base::ErrorKind::refused, fmt::format("amgtar: Invalid '{}' COMMAND-OPTIONS", value));
    }
    options.tar.extra.push_back(value);
  }
  return {};
}

base::Result<> set_blocksize(AmgtarOptions& options, const Values& values) {
  const std::string& value = values.back();
  int factor = 0;
  auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), factor);
  if (error != std::errc() || stop != value.data() + value.size() || factor <= 0) {
    return base::fail(base::ErrorKind::refused, fmt::format("bad TAR-BLOCKSIZE property value '{}'", value));
  }
  options.tar.blocking_factor = value;
  return {};
}

using Setter = std::function<base::Result<>(AmgtarOptions&, const Values&)>;

Setter flag(std::string name, std::function<bool&(AmgtarOptions&)> member, bool inverted = false) {
  return [name, member, inverted](AmgtarOptions& options, const Values& values) -> base::Result<> {
    auto value = read_bool(values.back());
    if (!value) {
      return base::fail(base::ErrorKind::refused,
                        fmt::format("bad {} property value '{}'", name, values.back()));
    }
    member(options) = *value != inverted;
    return {};
  };
}

Setter path(std::optional<std::filesystem::path> AmgtarOptions::* member) {
  return [member](AmgtarOptions& options, const Values& values) -> base::Result<> {
    options.*member = values.back();
    return {};
  };
}

Setter patterns(Values compat::MessagePatterns::* member) {
  return [member](AmgtarOptions& options, const Values& values) -> base::Result<> {
    Values& into = options.patterns.*member;
    into.insert(into.end(), values.begin(), values.end());
    return {};
  };
}

Setter of_restore() {
  return [](AmgtarOptions&, const Values&) -> base::Result<> { return {}; };
}

std::map<std::string, Setter> make_setters() {
  auto tar_flag = [](const char* name, bool TarOptions::* member, bool inverted = false) {
    return flag(name, [member](AmgtarOptions& o) -> bool& { return o.tar.*member; }, inverted);
  };
  return {
      {"GNUTAR-PATH", path(&AmgtarOptions::gnutar_path)},
      {"GNUTAR-LISTDIR", path(&AmgtarOptions::gnutar_list_dir)},
      {"TARGET", path(&AmgtarOptions::directory)},
      {"DIRECTORY", path(&AmgtarOptions::directory)},
      {"ONE-FILE-SYSTEM", tar_flag("ONE-FILE-SYSTEM", &TarOptions::one_file_system)},
      {"SPARSE", tar_flag("SPARSE", &TarOptions::sparse)},
      {"ATIME-PRESERVE", tar_flag("ATIME-PRESERVE", &TarOptions::atime_preserve)},
      {"CHECK-DEVICE", tar_flag("CHECK-DEVICE", &TarOptions::check_device)},
      {"NO-UNQUOTE", tar_flag("NO-UNQUOTE", &TarOptions::unquote, true)},
      {"ACLS", tar_flag("ACLS", &TarOptions::acls)},
      {"SELINUX", tar_flag("SELINUX", &TarOptions::selinux)},
      {"XATTRS", tar_flag("XATTRS", &TarOptions::xattrs)},
      {"TAR-BLOCKSIZE", set_blocksize},
      {"COMMAND-OPTIONS", set_command_options},
      {"NORMAL", patterns(&compat::MessagePatterns::normal)},
      {"IGNORE", patterns(&compat::MessagePatterns::ignore)},
      {"STRANGE", patterns(&compat::MessagePatterns::strange)},
      {"EXIT-HANDLING", set_exit_handling},
      {"VERBOSE", flag("VERBOSE", [](AmgtarOptions& o) -> bool& { return o.verbose; })},
      {"DAR", of_restore()},
      {"IGNORE-ZEROS", of_restore()},
      {"INCLUDE-LIST-GLOB", of_restore()},
      {"EXCLUDE-LIST-GLOB", of_restore()},
  };
}

bool is_rejected_short(std::string_view letters) {
  for (char letter : letters) {
    if (kRejectedLetters.find(letter) != kRejectedLetters.npos) return true;
    if (kLettersWithArgument.find(letter) != kLettersWithArgument.npos) return false;
  }
  return false;
}

}  // namespace

bool AmgtarOptions::is_good_exit(int code) const {
  auto said = exit_good.find(code);
  return said == exit_good.end() ? code == 0 || code == 1 : said->second;
}

bool is_rejected_tar_option(const std::string& option) {
  if (!option.starts_with("--")) return option.starts_with("-") && is_rejected_short(option.substr(1));
  // getopt takes any beginning that names one option alone; to be on the safe side we take any beginning.
  const std::string name = option.substr(0, option.find('='));
  if (name.size() <= 2) return false;
  return std::ranges::any_of(kRejected,
                             [&name](std::string_view rejected) { return rejected.starts_with(name); });
}

base::Result<AmgtarOptions> parse_amgtar_options(const std::vector<wire::Property>& properties) {
  const std::map<std::string, Setter> setters = make_setters();
  AmgtarOptions options;
  for (const wire::Property& property : properties) {
    auto setter = setters.find(upper(property.name));
    if (setter == setters.end()) {
      return base::fail(base::ErrorKind::refused,
                        fmt::format("amgtar: unrecognized option '--{}'", property.name));
    }
    if (property.values.empty()) continue;
    auto set = setter->second(options, property.values);
    if (!set) return std::unexpected(std::move(set).error());
  }
  return options;
}

}  // namespace headrace::client
