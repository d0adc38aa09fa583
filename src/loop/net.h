// Sockets and names for the loop: connecting (from a reserved port when asked), listening, resolving. Results
// are nonblocking, close-on-exec descriptors with TCP_NODELAY and keep-alive set and kernel-tuned buffers.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "loop/loop.h"

namespace headrace::loop {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  static Address ipv4(uint32_t host_order, uint16_t port);
  // All addresses of this machine, of the other's family; port 0.
  static Address any_like(const Address& other);
  // Numeric text ("10.0.0.1", "::1", "fe80::1%eth0"); error when it is none.
  static base::Result<Address> parse(const std::string& ip, uint16_t port);
  uint16_t port() const;
  void set_port(uint16_t port);
  bool is_ipv4() const { return storage.ss_family == AF_INET; }
  bool is_loopback() const;
  // Address without port equal.
  bool same_host(const Address& other) const;
  std::string text() const;  // "10.0.0.1:10080", "[::1]:10080"
  std::string host_text() const;
};

// Ports from low to high, both among them; 0,0: whichever the kernel gives.
struct PortRange {
  uint16_t low = 0;
  uint16_t high = 0;
  bool contains(uint16_t port) const { return port >= low && port <= high; }
  bool operator==(const PortRange&) const = default;
};

struct ConnectOptions {
  // Binds the source port within [low, high], highest first, passing over ports in use; 0,0 lets the kernel
  // choose. Ports below 1024 need CAP_NET_BIND_SERVICE; without it the error (refused) says so.
  uint16_t source_port_low = 0;
  uint16_t source_port_high = 0;
  base::Duration timeout = std::chrono::seconds(20);  // for each address
};

// A pending operation; destroying it cancels and nothing is called back.
class Operation {
 public:
  virtual ~Operation() = default;
};

using ConnectDone = std::move_only_function<void(base::Result<base::Fd>)>;
// Tries the addresses in turn; `done` is called later, once. The error names every address and what went
// wrong; its kind is the last one's.
[[nodiscard]] std::unique_ptr<Operation> connect_tcp(Loop& loop, std::vector<Address> addresses,
                                                     ConnectOptions options, ConnectDone done);

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Address local() const = 0;
};
// The descriptor is as described above; options that the socket's kind does not have are left out.
using Accepted = std::move_only_function<void(base::Fd, Address peer)>;
// Keeps accepting until destroyed; resource shortage pauses it for a second instead of ending it.
base::Result<std::unique_ptr<Listener>> listen_tcp(Loop& loop, const Address& local, Accepted accepted);
// Listens on the first free port of the range, looking from `local`'s own port on and going round; again when
// all are in use.
base::Result<std::unique_ptr<Listener>> listen_tcp_in_range(Loop& loop, Address local, PortRange range,
                                                            Accepted accepted);
// As above on a listening socket that was handed to us (inetd "wait", systemd); takes ownership.
base::Result<std::unique_ptr<Listener>> adopt_listener(Loop& loop, base::Fd listening, Accepted accepted);

struct ResolvedName {
  std::string canonical;  // as the resolver gives it; the name asked for when it gives none
  std::vector<Address> addresses;
};
// Whose lookups must not wait for whose: each kind has lanes of its own.
enum class LookupFor : unsigned char {
  ourselves,  // hosts that we know or want to reach
  strangers,  // whoever chose to send us something
};

// getaddrinfo/getnameinfo on a worker thread, for TCP. The operation may be dropped at any time. Errors:
// again when the name server did not answer, refused for a name that does not exist.
[[nodiscard]] std::unique_ptr<Operation> resolve(
    Loop& loop, std::string host, uint16_t port,
    std::move_only_function<void(base::Result<ResolvedName>)> done, LookupFor whom = LookupFor::ourselves);
[[nodiscard]] std::unique_ptr<Operation> name_of_address(
    Loop& loop, Address address, std::move_only_function<void(base::Result<std::string>)> done,
    LookupFor whom = LookupFor::ourselves);

// IPv4 peers of IPv6 sockets are given as IPv4 addresses, here and to Accepted.
base::Result<Address> local_address(int socket);
base::Result<Address> peer_address(int socket);

}  // namespace headrace::loop
