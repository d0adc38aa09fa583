#include "cli/client_sockets.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>

namespace headrace::cli {

using base::ErrorKind;
using base::Result;

namespace {

constexpr uint16_t kAmandaPort = 10080;
constexpr int kFirstSystemdSocket = 3;
constexpr int kMaxSystemdSockets = 16;
constexpr std::array<std::string_view, 5> kServed = {"bsdtcp", "bsd", "bsdudp", "ssh", "local"};

Result<loop::Address> address_of(const std::string& text) {
  // The colon before the port, not one inside of an IPv6 address.
  size_t colon = text.rfind(':');
  if (colon != std::string::npos && text.find(']', colon) != std::string::npos) colon = std::string::npos;
  std::string host = text.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  unsigned port = kAmandaPort;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end || port > UINT16_MAX) {
      return base::fail(ErrorKind::refused, fmt::format("\"{}\" is no ADDRESS:PORT", text));
    }
  }
  return loop::Address::parse(host.empty() ? "0.0.0.0" : host, static_cast<uint16_t>(port));
}

}  // namespace

bool is_udp_auth(std::string_view auth) { return auth == "bsd" || auth == "bsdudp"; }
bool is_pipe_auth(std::string_view auth) { return auth == "local" || auth == "ssh"; }

Result<std::string> served_auth(std::string_view word) {
  std::string auth(word);
  std::ranges::transform(auth, auth.begin(), [](unsigned char c) { return std::tolower(c); });
  if (std::ranges::find(kServed, auth) != kServed.end()) return auth;
  return base::fail(ErrorKind::refused,
                    fmt::format("auth \"{}\" cannot be served; {} can", word, fmt::join(kServed, ", ")));
}

Result<std::vector<ListenAt>> listen_at(const std::string& text, const std::vector<std::string>& auths) {
  std::string address = text;
  std::vector<std::string> wanted = auths;
  if (const size_t colon = text.find(':'); colon != std::string::npos) {
    if (auto named = served_auth(text.substr(0, colon))) {
      wanted = {*named};
      address = text.substr(colon + 1);
    }
  }
  auto parsed = address_of(address);
  if (!parsed) return std::unexpected(std::move(parsed).error());
  std::vector<ListenAt> out;
  for (const auto& auth : wanted) {
    if (is_pipe_auth(auth)) {
      return base::fail(
          ErrorKind::refused,
          fmt::format("auth {} listens nowhere: it is spoken on standard input and output", auth));
    }
    out.push_back({auth, *parsed});
  }
  return out;
}

Result<> check_apart(const std::vector<ListenAt>& all) {
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = i + 1; j < all.size(); ++j) {
      const bool same_socket = is_udp_auth(all[i].auth) == is_udp_auth(all[j].auth) &&
                               all[i].address.text() == all[j].address.text();
      if (!same_socket || all[i].address.port() == 0) continue;
      return base::fail(ErrorKind::refused,
                        fmt::format("{0} and {1} cannot share {2}: give one of them a port of its own, as in "
                                    "--listen {1}:0.0.0.0:10081, and the same as client-port on the server",
                                    all[i].auth, all[j].auth, all[i].address.text()));
    }
  }
  return {};
}

HandedKind kind_of_descriptor(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) return HandedKind::nothing;
  if (type == SOCK_DGRAM) return HandedKind::datagrams;
  if (type != SOCK_STREAM) return HandedKind::nothing;
  int listening = 0;
  length = sizeof listening;
  ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
  return listening != 0 ? HandedKind::listener : HandedKind::connection;
}

std::vector<HandedSocket> systemd_sockets() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::to_string(::getpid()) != pid) return {};
  int n = 0;
  std::from_chars(count, count + std::string_view(count).size(), n);
  const char* given = std::getenv("LISTEN_FDNAMES");
  std::string names = given == nullptr ? "" : given;
  std::vector<HandedSocket> sockets;
  for (int i = 0; i < std::clamp(n, 0, kMaxSystemdSockets); ++i) {
    const size_t colon = names.find(':');
    sockets.push_back({kFirstSystemdSocket + i, names.substr(0, colon)});
    names = colon == std::string::npos ? "" : names.substr(colon + 1);
  }
  return sockets;
}

std::string auth_of(HandedKind kind, const std::string& name, const std::vector<std::string>& auths) {
  const bool udp = kind == HandedKind::datagrams;
  const auto fits = [udp](const std::string& auth) { return udp ? is_udp_auth(auth) : auth == "bsdtcp"; };
  if (const auto named = served_auth(name); named && fits(*named)) return *named;
  const auto found = std::ranges::find_if(auths, fits);
  if (found != auths.end()) return *found;
  return "";
}

}  // namespace headrace::cli
