// GNU tar's command line for a dump or an estimate, in the order and with the options that Amanda's GNUTAR
// program and its amgtar application use, so that dumps of either can follow each other. Pure.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compat/tar_messages.h"

namespace headrace::client {

// What a DLE may change about the command. The defaults are those of amgtar; of GNUTAR, see tar_arguments.
struct TarOptions {
  bool one_file_system = true;
  bool sparse = true;
  bool atime_preserve = true;
  bool check_device = true;
  bool unquote = true;
  bool acls = false;
  bool selinux = false;
  bool xattrs = false;
  std::string blocking_factor;     // empty: tar's own
  std::vector<std::string> extra;  // COMMAND-OPTIONS
  bool operator==(const TarOptions&) const = default;
};

struct TarCommand {
  compat::TarDialect dialect = compat::TarDialect::gnutar;
  std::filesystem::path tar;
  std::filesystem::path directory;
  TarOptions options;  // amgtar only
  bool estimate = false;
  bool name_members = false;  // tar names what it writes on its standard error; amgtar also says where
  std::filesystem::path snapshot;
  std::filesystem::path exclude_from;  // empty: nothing is left out
  std::filesystem::path files_from;    // empty: all of the directory
};

// argv, with argv[0].
std::vector<std::string> tar_arguments(const TarCommand& command);

// How tar is started: as it is, or by Amanda's setuid helper, which lets the dump user read everything.
struct TarLaunch {
  std::filesystem::path program;
  std::vector<std::string> arguments;
};
struct TarRights {
  bool root = false;           // we are root: tar needs no help
  bool runtar_usable = false;  // the helper is there and we may run it
};
// `config` is the configuration's name, or empty.
TarLaunch tar_launch(const TarCommand& command, const std::filesystem::path& runtar, const TarRights& rights,
                     const std::string& config);

// What this process may do, looked up now.
TarRights current_rights(const std::filesystem::path& runtar);

}  // namespace headrace::client
