#include "server/recover/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace headrace::recover {
namespace {

using base::ErrorKind;
using base::Result;
using wire::DumpHeader;

constexpr std::string_view kGzip = "/bin/gzip";
constexpr std::string_view kTar = "/bin/tar";
// Applications whose archive GNU tar reads.
constexpr std::array<std::string_view, 2> kTarApplications{"amgtar", "amsamba"};

// A program a header names is run as we are: at least it must be a plain path to one.
Result<Command> program_of(const std::string& program, const std::string& argument) {
  if (!program.starts_with('/') || program.find("/../") != std::string::npos) {
    return base::fail(
        ErrorKind::unsupported,
        fmt::format("the header names \"{}\" as the program to decode with, which is no absolute path",
                    program));
  }
  return Command{.program = program, .arguments = {program, argument}};
}

bool is_tar(const DumpHeader& header) {
  if (header.program == "APPLICATION") {
    return std::ranges::find(kTarApplications, header.application) != kTarApplications.end();
  }
  return header.program == "GNUTAR" || std::filesystem::path(header.program).filename() == "tar" ||
         std::filesystem::path(header.program).filename() == "gtar";
}

}  // namespace

std::string Command::text() const { return fmt::format("{}", fmt::join(arguments, " ")); }

Result<std::vector<Command>> decoders(const DumpHeader& header) {
  std::vector<Command> commands;
  const auto add = [&](Result<Command> command) -> Result<> {
    if (!command) return std::unexpected(std::move(command.error()));
    commands.push_back(*std::move(command));
    return {};
  };
  // Encrypted last on the client, then on the server: undone the other way round.
  if (!header.server_encrypt_program.empty()) {
    const auto& option = header.server_decrypt_option;
    if (auto added = add(program_of(header.server_encrypt_program, option.empty() ? "-d" : option)); !added) {
      return std::unexpected(std::move(added.error()));
    }
  } else if (!header.client_encrypt_program.empty()) {
    const auto& option = header.client_decrypt_option;
    if (auto added = add(program_of(header.client_encrypt_program, option.empty() ? "-d" : option)); !added) {
      return std::unexpected(std::move(added.error()));
    }
  } else if (header.encrypted) {
    return base::fail(ErrorKind::unsupported,
                      "the dump is encrypted, and its header does not say by what program");
  }
  const std::string& suffix = header.compress_suffix;
  const std::string& custom = header.server_compress_program.empty() ? header.client_compress_program
                                                                     : header.server_compress_program;
  if (!custom.empty()) {
    if (auto added = add(program_of(custom, "-d")); !added) return std::unexpected(std::move(added.error()));
  } else if (suffix == ".gz" || suffix == ".Z") {
    commands.push_back({.program = std::string(kGzip), .arguments = {"gzip", "-dc"}});
  } else if (!suffix.empty() && suffix != "N") {
    return base::fail(ErrorKind::unsupported,
                      fmt::format("the dump is compressed as \"{}\", which is not known here", suffix));
  }
  return commands;
}

Result<Command> extractor(const DumpHeader& header, const std::filesystem::path& directory,
                          const std::vector<std::string>& members) {
  if (!is_tar(header)) {
    return base::fail(
        ErrorKind::unsupported,
        fmt::format("the dump was made by {}, whose archive is not GNU tar's: take it as it is with "
                    "--stdout",
                    header.application.empty() ? header.program : header.application));
  }
  Command command{.program = std::string(kTar),
                  .arguments = {"tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpGf", "-"}};
  command.arguments.push_back("--directory=" + directory.string());
  if (!members.empty()) {
    command.arguments.emplace_back("--");
    command.arguments.insert(command.arguments.end(), members.begin(), members.end());
  }
  return command;
}

}  // namespace headrace::recover
