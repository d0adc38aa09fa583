#include "server/observe/control_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/file.h"
#include "journal/file.h"
#include "server/observe/control.h"

namespace headrace::observe {
namespace {

using base::ErrorKind;
using base::Result;

constexpr std::string_view kPrefix = "control.";

struct SocketAddress {
  sockaddr_un address = {};
  base::Fd directory = {};  // what the address goes through; must stay open while it is used
  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Result<SocketAddress> address_of(const std::filesystem::path& path) {
  SocketAddress out;
  out.address.sun_family = AF_UNIX;
  std::string text = path.native();
  if (text.size() >= sizeof out.address.sun_path) {
    auto directory = base::open_file(path.parent_path(), O_PATH | O_DIRECTORY);
    if (!directory) return std::unexpected(std::move(directory).error());
    out.directory = std::move(*directory);
    text = fmt::format("/proc/self/fd/{}/{}", out.directory.get(), path.filename().native());
    if (text.size() >= sizeof out.address.sun_path)
      return base::fail(ErrorKind::refused, path.native() + ": the name is too long for a socket");
  }
  std::memcpy(out.address.sun_path, text.c_str(), text.size() + 1);
  return out;
}

Result<base::Fd> new_socket() {
  base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::fail_errno("make a socket");
  return fd;
}

}  // namespace

Result<base::Fd> listen_at(const std::filesystem::path& path) {
  auto address = address_of(path);
  if (!address) return std::unexpected(std::move(address).error());
  auto fd = new_socket();
  if (!fd) return fd;
  // Before bind(2), which gives the file the socket's mode: at no moment is it open to others.
  if (::fchmod(fd->get(), 0600) != 0) return base::fail_errno("narrow a socket's mode");
  if (::bind(fd->get(), address->generic(), sizeof address->address) != 0)
    return base::fail_errno("make the control socket " + path.native());
  struct stat directory = {};
  // A file system without owners is no error, as with other files.
  if (::geteuid() == 0 && ::stat(path.parent_path().c_str(), &directory) == 0)
    (void)::lchown(path.c_str(), directory.st_uid, directory.st_gid);
  if (::listen(fd->get(), static_cast<int>(kMaxControlClients)) != 0)
    return base::fail_errno("listen on " + path.native());
  return fd;
}

Result<base::Fd> connect_to(const std::filesystem::path& path) {
  auto address = address_of(path);
  if (!address) return std::unexpected(std::move(address).error());
  auto fd = new_socket();
  if (!fd) return fd;
  if (::connect(fd->get(), address->generic(), sizeof address->address) == 0) return fd;
  const int number = errno;
  const auto refused = [&path](const char* why) {
    return base::fail(ErrorKind::refused, fmt::format("{}: {}", path.native(), why));
  };
  if (number == ENOENT) return refused("the run has no control socket (it is ending, or could not make one)");
  if (number == ECONNREFUSED) return refused("the run whose control socket this was is gone");
  if (number == EACCES) return refused("only root and the dump user may talk to a run");
  if (number == EAGAIN) return refused("too many commands talk to this run at once; try again");
  return base::fail_errno("connect to " + path.native(), number);
}

bool peer_may_talk(int socket, uid_t owner) {
  ucred peer = {};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid() || peer.uid == owner;
}

void remove_dead_sockets(const std::filesystem::path& logdir) {
  std::error_code error;
  std::vector<std::filesystem::path> dead;
  std::filesystem::directory_iterator entry(logdir, error);
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    if (!name.starts_with(kPrefix) || !entry->is_socket(error)) continue;
    // A run locks its journal before it makes its socket. Without a journal nobody could find the socket.
    const auto journal = journal::path_of(logdir, name.substr(kPrefix.size()));
    const auto written = journal::is_being_written(journal);
    const bool gone = !std::filesystem::exists(journal, error);
    if (gone || (written && !*written)) dead.push_back(entry->path());
  }
  for (const auto& path : dead) std::filesystem::remove(path, error);
}

}  // namespace headrace::observe
