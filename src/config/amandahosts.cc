#include "config/amandahosts.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "config/lexer.h"

namespace headrace::config {
namespace {

constexpr size_t kFileLimit = 4U << 20U;
constexpr auto kClientServices =
    std::to_array<std::string_view>({"noop", "selfcheck", "sendsize", "sendbackup"});
constexpr auto kServerServices = std::to_array<std::string_view>({"amindexd", "amidxtaped"});
constexpr auto kOtherServices = std::to_array<std::string_view>({"senddiscover", "restore", "ambackupd"});

template <class List>
bool has(const List& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

bool host_fits(const AmandaHost& entry, const AccessRequest& request) {
  if (same_name(entry.host, request.peer_host)) return true;
  return request.peer_is_loopback &&
         (same_name(entry.host, "localhost") || same_name(entry.host, "localhost.localdomain"));
}

bool grants(const AmandaHost& entry, const AccessRequest& request) {
  if (!host_fits(entry, request)) return false;
  if (!same_name(entry.user.empty() ? request.local_user : entry.user, request.user)) return false;
  const bool dumps = has(kClientServices, request.service);
  if (entry.services.empty()) return dumps;
  return has(entry.services, request.service) || (dumps && has(entry.services, "amdump"));
}

base::Result<> check_status(const std::filesystem::path& file, const struct stat& status, uid_t uid) {
  if (status.st_uid != uid)
    return base::fail(base::ErrorKind::refused,
                      fmt::format("{}: owned by id {}, should be {}", file.string(), status.st_uid, uid));
  if ((status.st_mode & 077U) != 0)
    return base::fail(
        base::ErrorKind::refused,
        fmt::format("{}: incorrect permissions; file must be accessible only by its owner (chmod 600 {})",
                    file.string(), file.string()));
  return {};
}

// Opened once, so that what is checked is what is read.
base::Result<base::Fd> open_checked(const std::filesystem::path& file, uid_t uid) {
  auto fd = base::open_file(file, O_RDONLY | O_NONBLOCK);
  if (!fd)
    return base::fail(base::ErrorKind::refused, fmt::format("cannot open {}: {}", file.string(),
                                                            std::strerror(fd.error().sys_errno())));
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0) return base::fail_errno(fmt::format("fstat {}", file.string()));
  if (auto checked = check_status(file, status, uid); !checked)
    return std::unexpected(std::move(checked.error()));
  return fd;
}

}  // namespace

std::vector<AmandaHost> parse_amandahosts(std::string_view text) {
  std::vector<AmandaHost> entries;
  for (int line = 1; !text.empty(); ++line) {
    std::string_view rest = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), rest.size() + 1));
    rest = rest.substr(0, rest.find('#'));
    std::vector<std::string> words;
    while (!rest.empty()) {
      // Commas separate services only.
      const std::string_view separators = words.size() < 2 ? " \t\r\f\v" : " \t\r\f\v,";
      const size_t begin = rest.find_first_not_of(separators);
      if (begin == std::string_view::npos) break;
      const size_t end = std::min(rest.find_first_of(separators, begin), rest.size());
      words.emplace_back(rest.substr(begin, end - begin));
      rest.remove_prefix(end);
    }
    if (words.empty()) continue;
    AmandaHost entry;
    entry.host = words[0];
    if (words.size() > 1) entry.user = words[1];
    if (words.size() > 2) entry.services.assign(words.begin() + 2, words.end());
    entry.line = line;
    entries.push_back(std::move(entry));
  }
  return entries;
}

base::Result<> authorize(const std::vector<AmandaHost>& entries, const AccessRequest& request) {
  for (const AmandaHost& entry : entries)
    if (grants(entry, request)) return {};
  const auto please_add = [&](std::string_view services, std::string_view where) {
    return fmt::format("Please add the line \"{} {} {}\" to {} on the {}", request.peer_host, request.user,
                       services, request.file.string(), where);
  };
  std::string why;
  if (has(kClientServices, request.service)) {
    why = please_add("amdump", "client");
  } else if (has(kServerServices, request.service)) {
    why = please_add("amindexd amidxtaped", "server");
  } else if (has(kOtherServices, request.service)) {
    why = please_add(request.service, request.service == "ambackupd" ? "server" : "client");
  } else {
    why = fmt::format("{}: invalid service {}", request.file.string(), request.service);
  }
  return base::fail(base::ErrorKind::refused, std::move(why));
}

base::Result<> check_amandahosts_file(const std::filesystem::path& file, uid_t uid) {
  auto fd = open_checked(file, uid);
  if (!fd) return std::unexpected(std::move(fd.error()));
  return {};
}

base::Result<std::vector<AmandaHost>> read_amandahosts(const std::filesystem::path& file, uid_t uid) {
  auto fd = open_checked(file, uid);
  if (!fd) return std::unexpected(std::move(fd.error()));
  std::string text;
  std::array<char, 8192> piece{};
  while (true) {
    const ssize_t got = ::read(fd->get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno(fmt::format("read {}", file.string()));
    if (got == 0) return parse_amandahosts(text);
    text.append(piece.data(), static_cast<size_t>(got));
    if (text.size() > kFileLimit)
      return base::fail(base::ErrorKind::refused, fmt::format("{} is too large", file.string()));
  }
}

}  // namespace headrace::config
