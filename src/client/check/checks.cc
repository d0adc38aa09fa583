#include "client/check/checks.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/file.h"
#include "client/archive/archiver_choice.h"
#include "client/archive/tar_plan.h"
#include "client/backup/dump_job.h"
#include "compat/exclude_lists.h"

namespace headrace::client {
namespace {

using wire::make_check_message;
using wire::Severity;

// Amanda's message numbers.
constexpr int kVersion = 3600000;
constexpr int kDistro = 3600001;
constexpr int kPlatform = 3600002;
constexpr int kOptions = 3600004;
constexpr int kWrongAuth = 3600017;
constexpr int kAuthHint = 3600019;
constexpr int kUnsupported = 3600033;
constexpr int kDiskInaccessible = 3600051;
constexpr int kDiskOk = 3600052;
constexpr int kAmdeviceOk = 3600053;
constexpr int kDeviceOk = 3600054;
constexpr int kAccessBad = 3600063;
constexpr int kAccessOk = 3600064;
constexpr int kSpaceUnknown = 3600069;
constexpr int kSpaceLow = 3600070;
constexpr int kSpaceOk = 3600071;
constexpr int kListUnusable = 4600002;

struct AccessWords {
  int mode;
  const char* noun;
  const char* adjective;
};

AccessWords words_of(Access access) {
  switch (access) {
    case Access::exists:
      return {F_OK, "access", "accessible"};
    case Access::readable:
      return {R_OK, "read", "readable"};
    case Access::executable:
      return {X_OK, "execute", "executable"};
    case Access::read_write:
      return {R_OK | W_OK, "read/write", "read/writable"};
  }
  return {F_OK, "access", "accessible"};
}

// A value of /etc/os-release, without quotes; empty when unknown.
std::string os_release(std::string_view key) {
  auto text = base::read_file("/etc/os-release", 65536);
  if (!text) return {};
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.starts_with(key) || line.substr(key.size(), 1) != "=") continue;
    line.remove_prefix(key.size() + 1);
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') line = line.substr(1, line.size() - 2);
    return std::string(line);
  }
  return {};
}

// 0, or why the dump would not even begin.
int reason_against_directory(const std::filesystem::path& directory, const TarRights& rights) {
  struct stat st{};
  if (::stat(directory.c_str(), &st) != 0) return errno;
  if (!S_ISDIR(st.st_mode)) return ENOTDIR;
  const bool tar_has_our_rights = !rights.root && !rights.runtar_usable;
  if (tar_has_our_rights && ::access(directory.c_str(), R_OK | X_OK) != 0) return errno;
  return 0;
}

void check_directory(const ClientRequest& request, const wire::Dle& dle,
                     const std::filesystem::path& directory, const TarRights& rights, CheckMessages& out) {
  if (const int reason = reason_against_directory(directory, rights)) {
    out.push_back(make_check_message(Severity::error, kDiskInaccessible,
                                     fmt::format("{}: Could not access {} ({}): {}", request.hostname,
                                                 directory.native(), dle.disk, std::strerror(reason)),
                                     {{"merrno", std::to_string(reason)},
                                      {"errnocode", ::strerrorname_np(reason)},
                                      {"errnostr", std::strerror(reason)},
                                      {"type", "access"},
                                      {"hostname", request.hostname},
                                      {"device", directory.native()},
                                      {"disk", dle.disk}}));
    return;
  }
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"hostname", request.hostname}, {"device", directory.native()}, {"disk", dle.disk}};
  out.push_back(make_check_message(Severity::info, kDiskOk, dle.disk, fields));
  out.push_back(make_check_message(Severity::info, kAmdeviceOk, dle.device_or_disk(), fields));
  out.push_back(make_check_message(Severity::info, kDeviceOk, directory.native(), fields));
}

void check_lists(const TarPlan& plan, CheckMessages& out) {
  std::vector<std::string> complaints =
      compat::exclude_patterns(plan.exclude, plan.command.directory).complaints;
  const bool sees_more = !plan.rights.root && plan.rights.runtar_usable;
  auto include = compat::include_names(plan.include, plan.command.directory, sees_more).complaints;
  complaints.insert(complaints.end(), include.begin(), include.end());
  for (std::string& complaint : complaints) {
    out.push_back(make_check_message(Severity::error, kListUnusable, std::move(complaint)));
  }
}

void check_tar(const ClientContext& context, const TarPlan& plan, CheckMessages& out) {
  if (!plan.rights.root && plan.command.dialect == compat::TarDialect::gnutar) {
    auto runtar = check_access(context.paths.runtar, Access::executable);
    if (!plan.rights.runtar_usable && !runtar.is_problem()) {
      runtar = make_check_message(Severity::error, kAccessBad,
                                  fmt::format("{} is not setuid root: tar will read only what user {} may",
                                              context.paths.runtar.native(), ::geteuid()));
    }
    out.push_back(std::move(runtar));
  }
  out.push_back(check_access(plan.command.tar, Access::executable));
  out.push_back(check_access(plan.list_dir / ".", Access::read_write));
}

CheckMessages unsupported_dle(const ClientRequest& request, const wire::Dle& dle, std::string reason) {
  return {make_check_message(Severity::error, kUnsupported, fmt::format("{}: {}", dle.disk, reason),
                             {{"hostname", request.hostname}, {"disk", dle.disk}})};
}

}  // namespace

wire::CheckMessage check_access(const std::filesystem::path& path, Access access) {
  const AccessWords words = words_of(access);
  const std::string ids = fmt::format("(ruid:{} euid:{})", ::getuid(), ::geteuid());
  std::vector<std::pair<std::string, std::string>> fields = {{"noun", words.noun},
                                                             {"adjective", words.adjective},
                                                             {"filename", path.native()},
                                                             {"ruid", std::to_string(::getuid())},
                                                             {"euid", std::to_string(::geteuid())}};
  if (::access(path.c_str(), words.mode) == 0) {
    return make_check_message(Severity::info, kAccessOk,
                              fmt::format("{} {} {}", path.native(), words.adjective, ids),
                              std::move(fields));
  }
  const int reason = errno;
  fields.insert(fields.end(), {{"merrno", std::to_string(reason)},
                               {"errnocode", ::strerrorname_np(reason)},
                               {"errnostr", std::strerror(reason)}});
  return make_check_message(
      Severity::error, kAccessBad,
      fmt::format("can not {} '{}': {} {}", words.noun, path.native(), std::strerror(reason), ids),
      std::move(fields));
}

wire::CheckMessage check_space(const std::filesystem::path& directory, const std::string& hostname) {
  struct statvfs fs{};
  const std::string name = directory.native();
  if (::statvfs(directory.c_str(), &fs) != 0) {
    return make_check_message(
        Severity::error, kSpaceUnknown,
        fmt::format("cannot get filesystem usage for '{}': {}", name, std::strerror(errno)),
        {{"dirname", name}, {"hostname", hostname}});
  }
  const uint64_t available_kib = uint64_t{fs.f_bavail} * fs.f_frsize / base::kKiB;
  if (available_kib < kMinimumKib) {
    return make_check_message(
        Severity::error, kSpaceLow,
        fmt::format("dir '{}' needs {} KB, only has {} KB available", name, kMinimumKib, available_kib),
        {{"dirname", name}, {"hostname", hostname}});
  }
  return make_check_message(
      Severity::info, kSpaceOk, fmt::format("dir '{}' has more than {} KB available", name, available_kib),
      {{"avail", std::to_string(available_kib)}, {"dirname", name}, {"hostname", hostname}});
}

CheckMessages describe_host(const std::string& hostname) {
  CheckMessages out;
  const std::string version = fmt::format("headrace-{}", HEADRACE_VERSION);
  out.push_back(make_check_message(Severity::info, kVersion, fmt::format("version {}", version),
                                   {{"version", version}, {"hostname", hostname}}));
  const std::string name = os_release("NAME");
  const std::string distro = name.substr(0, name.find(' '));
  if (!distro.empty()) {
    out.push_back(make_check_message(Severity::info, kDistro, fmt::format("distro {}", distro),
                                     {{"distro", distro}, {"hostname", hostname}}));
  }
  const std::string platform = os_release("PRETTY_NAME");
  if (!platform.empty()) {
    out.push_back(make_check_message(Severity::info, kPlatform, fmt::format("platform {}", platform),
                                     {{"platform", platform}, {"hostname", hostname}}));
  }
  const std::string features = wire::FeatureSet::ours_as_client().hex();
  out.push_back(make_check_message(Severity::info, kOptions,
                                   fmt::format("OPTIONS features={};hostname={};", features, hostname),
                                   {{"features", features}, {"hostname", hostname}}));
  return out;
}

CheckMessages check_auth(const exchange::ServiceRequest& call, const ClientRequest& request,
                         const wire::Dle& dle) {
  auto mismatch = auth_mismatch(call, dle);
  if (!mismatch) return {};
  std::string text = mismatch->substr(1, mismatch->size() - 2);
  return {
      make_check_message(Severity::error, kWrongAuth, std::move(text),
                         {{"auth", call.auth}, {"auth-requested", dle.auth}, {"hostname", request.hostname}}),
      make_check_message(Severity::error, kAuthHint,
                         "The auth in the inetd/xinetd configuration must be the same as the DLE",
                         {{"hostname", request.hostname}})};
}

CheckMessages check_dle(const ClientContext& context, const ClientRequest& request, const wire::Dle& dle) {
  CheckMessages out;
  if (auto missing = unsupported(dle)) return unsupported_dle(request, dle, *missing);
  auto program = archiver_of(context, dle);
  if (!program) return unsupported_dle(request, dle, program.error().what());
  // An application checks for itself: see PluginCheck.
  if (program->plugin) return out;
  auto plan = plan_tar(context, request, dle, TarPurpose::dump);
  if (!plan) return unsupported_dle(request, dle, plan.error().what());
  check_lists(*plan, out);
  check_directory(request, dle, plan->command.directory, plan->rights, out);
  check_tar(context, *plan, out);
  for (const flow::FilterCommand& filter : filters_of(context.paths, dle)) {
    out.push_back(check_access(filter.program, Access::executable));
  }
  return out;
}

CheckMessages check_host(const ClientContext& context, const ClientRequest& request) {
  CheckMessages out;
  out.push_back(check_access("/dev/null", Access::read_write));
  out.push_back(check_space(context.paths.tmp_dir, request.hostname));
  out.push_back(check_space(request.config.gnutar_list_dir, request.hostname));
  return out;
}

}  // namespace headrace::client
