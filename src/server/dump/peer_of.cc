#include "server/dump/peer_of.h"

#include <fmt/format.h>
#include <netdb.h>
#include <strings.h>

#include <charconv>

namespace headrace::dump {

using base::Result;

constexpr uint16_t kAmandaPort = 10080;

static Result<uint16_t> port_of(const std::string& text, bool ssh) {
  if (text.empty()) return ssh ? 0 : kAmandaPort;
  uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && port != 0) return port;
  if (const servent* service = ::getservbyname(text.c_str(), "tcp"))
    return ntohs(static_cast<uint16_t>(service->s_port));
  return base::fail(
      base::ErrorKind::refused,
      fmt::format("client-port \"{}\" is neither a number from 1 to 65535 nor a service of /etc/services",
                  text));
}

// The configured range, or `otherwise` when that is none.
static loop::PortRange ports_of(const config::PortRange& range, loop::PortRange otherwise) {
  if (range.low <= 0 || range.high < range.low || range.high > UINT16_MAX) return otherwise;
  return {static_cast<uint16_t>(range.low), static_cast<uint16_t>(range.high)};
}

Result<auth::Peer> peer_of(const config::ServerConfig& config, const config::DiskListEntry& entry) {
  auto port = port_of(entry.dumptype.client_port, ::strcasecmp(entry.dumptype.auth.c_str(), "ssh") == 0);
  if (!port) return std::unexpected(std::move(port).error());
  auth::Peer peer;
  peer.host = entry.host;
  peer.auth = entry.dumptype.auth;
  peer.port = *port;
  const auto reserved =
      ports_of(config.globals.reserved_tcp_port, {peer.source_port_low, peer.source_port_high});
  peer.source_port_low = reserved.low;
  peer.source_port_high = reserved.high;
  peer.udp_ports = ports_of(config.globals.reserved_udp_port, peer.udp_ports);
  peer.stream_ports = ports_of(config.globals.unreserved_tcp_port, peer.stream_ports);
  peer.tries = static_cast<int>(config.globals.connect_tries);
  peer.amandad_path = entry.dumptype.amandad_path;
  peer.client_username =
      entry.dumptype.client_username.empty() ? config.globals.dumpuser : entry.dumptype.client_username;
  peer.ssh_keys = entry.dumptype.ssh_keys;
  return peer;
}

exchange::RequestTimes times_of(const config::ServerConfig& config, base::Duration reply_timeout) {
  exchange::RequestTimes times;
  times.request_tries = static_cast<int>(config.globals.req_tries);
  times.reply_timeout = reply_timeout;
  return times;
}

bool same_way(const auth::Peer& a, const auth::Peer& b) {
  return a.host == b.host && a.auth == b.auth && a.port == b.port && a.amandad_path == b.amandad_path &&
         a.client_username == b.client_username && a.ssh_keys == b.ssh_keys;
}

}  // namespace headrace::dump
