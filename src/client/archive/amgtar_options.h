// The properties of Amanda's amgtar application, for dumps of that dialect that we run ourselves. Pure.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/archive/tar_command.h"
#include "compat/tar_messages.h"
#include "wire/dle.h"

namespace headrace::client {

struct AmgtarOptions {
  TarOptions tar;
  std::optional<std::filesystem::path> gnutar_path;
  std::optional<std::filesystem::path> gnutar_list_dir;
  std::optional<std::filesystem::path> directory;  // dumped in place of the DLE's device
  compat::MessagePatterns patterns;
  std::map<int, bool> exit_good;  // EXIT-HANDLING, on top of 0 and 1 being good
  bool verbose = false;

  bool is_good_exit(int code) const;
  bool operator==(const AmgtarOptions&) const;
};

// Refused with amgtar's own texts: a property it does not know, a value that is neither yes nor no, an option
// of tar that would run a program of the server's choice. Those of restoring are read past.
base::Result<AmgtarOptions> parse_amgtar_options(const std::vector<wire::Property>& properties);

// Whether tar would run a command that the option names, in any of its spellings.
bool is_rejected_tar_option(const std::string& option);

}  // namespace headrace::client
