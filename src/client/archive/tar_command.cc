#include "client/archive/tar_command.h"

#include <sys/stat.h>
#include <unistd.h>

namespace headrace::client {
namespace {

using Arguments = std::vector<std::string>;

void add_selection(const TarCommand& command, Arguments& out) {
  if (!command.exclude_from.empty()) {
    out.insert(out.end(), {"--exclude-from", command.exclude_from.native()});
  }
  if (command.files_from.empty()) {
    out.push_back(".");
  } else {
    out.insert(out.end(), {"--files-from", command.files_from.native()});
  }
}

void add_target(const TarCommand& command, Arguments& out) {
  out.push_back("--file");
  if (command.estimate) {
    // tar knows this name and does not even read the files.
    out.insert(out.end(), {"/dev/null", "--numeric-owner"});
  } else {
    out.push_back("-");
  }
}

Arguments gnutar_arguments(const TarCommand& command) {
  Arguments out{command.tar.native(), "--create"};
  if (command.name_members) out.push_back("--verbose");
  add_target(command, out);
  out.insert(out.end(),
             {"--directory", command.directory.native(), "--one-file-system", "--listed-incremental",
              command.snapshot.native(), "--sparse", "--ignore-failed-read", "--totals"});
  add_selection(command, out);
  return out;
}

Arguments amgtar_arguments(const TarCommand& command) {
  const TarOptions& options = command.options;
  Arguments out{command.tar.native(), "--create"};
  auto add_if = [&out](bool wanted, const char* option) {
    if (wanted) out.emplace_back(option);
  };
  add_if(command.name_members, "--verbose");
  add_if(command.name_members, "--block-number");
  add_target(command, out);
  add_if(!options.unquote, "--no-unquote");
  out.insert(out.end(), {"--directory", command.directory.native()});
  add_if(options.one_file_system, "--one-file-system");
  add_if(options.atime_preserve, "--atime-preserve=system");
  add_if(!options.check_device, "--no-check-device");
  add_if(options.acls, "--acls");
  add_if(options.selinux, "--selinux");
  add_if(options.xattrs, "--xattrs");
  out.insert(out.end(), {"--listed-incremental", command.snapshot.native()});
  add_if(options.sparse, "--sparse");
  if (!options.blocking_factor.empty()) {
    out.insert(out.end(), {"--blocking-factor", options.blocking_factor});
  }
  out.insert(out.end(), {"--ignore-failed-read", "--totals"});
  out.insert(out.end(), options.extra.begin(), options.extra.end());
  add_selection(command, out);
  return out;
}

}  // namespace

std::vector<std::string> tar_arguments(const TarCommand& command) {
  return command.dialect == compat::TarDialect::gnutar ? gnutar_arguments(command)
                                                       : amgtar_arguments(command);
}

TarLaunch tar_launch(const TarCommand& command, const std::filesystem::path& runtar, const TarRights& rights,
                     const std::string& config) {
  std::vector<std::string> arguments = tar_arguments(command);
  // runtar knows only the options of the GNUTAR dialect and refuses all others.
  if (rights.root || !rights.runtar_usable || command.dialect != compat::TarDialect::gnutar) {
    return {command.tar, std::move(arguments)};
  }
  arguments.insert(arguments.begin(), {runtar.native(), config.empty() ? "NOCONFIG" : config});
  return {runtar, std::move(arguments)};
}

TarRights current_rights(const std::filesystem::path& runtar) {
  struct stat st{};
  const bool setuid_root = ::stat(runtar.c_str(), &st) == 0 && st.st_uid == 0 && (st.st_mode & S_ISUID) != 0;
  return {.root = ::geteuid() == 0, .runtar_usable = setuid_root && ::access(runtar.c_str(), X_OK) == 0};
}

}  // namespace headrace::client
