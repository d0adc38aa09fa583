#include "server/dump/server_filters.h"

#include <fmt/format.h>

#include <cstdlib>

namespace headrace::dump {

namespace {

using wire::Compress;

constexpr const char* kGzip = "/bin/gzip";

std::vector<std::string> environment() {
  std::vector<std::string> out = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                  "LC_ALL=C"};
  for (const char* name : {"HOME", "USER", "LOGNAME"}) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  }
  return out;
}

}  // namespace

std::vector<flow::FilterCommand> server_filters(const wire::Dle& dle) {
  std::vector<flow::FilterCommand> filters;
  const auto add = [&](const char* role, const std::string& program, const char* argument) {
    flow::FilterCommand command{role, program, {program}, environment()};
    if (argument != nullptr) command.arguments.emplace_back(argument);
    filters.push_back(std::move(command));
  };
  if (dle.compress == Compress::server_fast) add("server compress", kGzip, "--fast");
  if (dle.compress == Compress::server_best) add("server compress", kGzip, "--best");
  if (dle.compress == Compress::server_custom) add("server compress", dle.compress_program, nullptr);
  if (dle.encrypt == wire::Encrypt::server_custom) add("server encrypt", dle.encrypt_program, nullptr);
  return filters;
}

base::Result<> as_asked(const wire::Dle& dle, const wire::DumpHeader& header) {
  const auto check = [](const char* what, const std::string& said,
                        const std::string& asked) -> base::Result<> {
    if (said.empty() || said == asked) return {};
    return base::fail(
        base::ErrorKind::refused,
        fmt::format("the client says that it {} with \"{}\", and was asked for \"{}\"", what, said, asked));
  };
  const bool compresses = dle.compress == Compress::custom;
  if (auto sound =
          check("compresses", header.client_compress_program, compresses ? dle.compress_program : "");
      !sound) {
    return sound;
  }
  const bool encrypts = dle.encrypt == wire::Encrypt::custom;
  if (auto sound = check("encrypts", header.client_encrypt_program, encrypts ? dle.encrypt_program : "");
      !sound) {
    return sound;
  }
  return check("is decrypted", header.client_decrypt_option, encrypts ? dle.decrypt_option : "");
}

void describe_server_filters(const wire::Dle& dle, wire::DumpHeader& header) {
  if (dle.compress == Compress::server_fast || dle.compress == Compress::server_best) {
    header.compress_suffix = ".gz";
    header.uncompress_command = std::string(kGzip) + " -dc";
  }
  if (dle.compress == Compress::server_custom) {
    header.compress_suffix = "cust";
    header.server_compress_program = dle.compress_program;
    header.uncompress_command = dle.compress_program + " -d";
  }
  if (dle.encrypt == wire::Encrypt::server_custom) {
    const std::string option = dle.decrypt_option.empty() ? "-d" : dle.decrypt_option;
    header.encrypted = true;
    header.server_encrypt_program = dle.encrypt_program;
    header.server_decrypt_option = option;
    header.decrypt_command = dle.encrypt_program + " " + option;
  }
}

}  // namespace headrace::dump
