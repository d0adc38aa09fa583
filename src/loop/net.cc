#include "loop/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "loop/socket_options.h"

namespace headrace::loop {

using base::Error;
using base::ErrorKind;

namespace {

const sockaddr* generic(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr*>(&storage);
}
sockaddr* generic(sockaddr_storage& storage) { return reinterpret_cast<sockaddr*>(&storage); }

struct AddressInfoDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressInfo = std::unique_ptr<addrinfo, AddressInfoDeleter>;

}  // namespace

Address Address::ipv4(uint32_t host_order, uint16_t port) {
  Address address;
  auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
  in->sin_family = AF_INET;
  in->sin_addr.s_addr = htonl(host_order);
  in->sin_port = htons(port);
  address.length = sizeof(sockaddr_in);
  return address;
}

Address Address::any_like(const Address& other) {
  Address address;
  address.storage.ss_family = other.storage.ss_family;
  address.length = other.length;
  return address;
}

base::Result<Address> Address::parse(const std::string& ip, uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (ip.empty() || ip.find('\0') != std::string::npos ||
      getaddrinfo(ip.c_str(), nullptr, &hints, &list) != 0) {
    return base::fail(ErrorKind::refused, "\"" + ip + "\" is no numeric IP address");
  }
  const AddressInfo owned(list);
  Address address;
  std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
  address.length = list->ai_addrlen;
  address.set_port(port);
  return address;
}

uint16_t Address::port() const {
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

void Address::set_port(uint16_t port) {
  if (storage.ss_family == AF_INET) reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(port);
  if (storage.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = htons(port);
}

bool Address::is_loopback() const {
  if (storage.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr.s_addr) >> 24U == 127;
  }
  if (storage.ss_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr) != 0;
  }
  return false;
}

bool Address::same_host(const Address& other) const {
  if (storage.ss_family != other.storage.ss_family) return false;
  if (storage.ss_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in*>(&other.storage)->sin_addr.s_addr;
  }
  if (storage.ss_family == AF_INET6) {
    const auto* mine = reinterpret_cast<const sockaddr_in6*>(&storage);
    const auto* theirs = reinterpret_cast<const sockaddr_in6*>(&other.storage);
    return mine->sin6_scope_id == theirs->sin6_scope_id &&
           IN6_ARE_ADDR_EQUAL(&mine->sin6_addr, &theirs->sin6_addr) != 0;
  }
  return false;
}

std::string Address::host_text() const {
  char host[NI_MAXHOST];
  if (getnameinfo(generic(storage), length, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0) return host;
  return storage.ss_family == AF_UNIX ? "local socket" : "unknown address";
}

std::string Address::text() const {
  if (storage.ss_family == AF_INET) return host_text() + ":" + std::to_string(port());
  if (storage.ss_family == AF_INET6) return "[" + host_text() + "]:" + std::to_string(port());
  return host_text();
}

Address without_mapping(const Address& address) {
  if (address.storage.ss_family != AF_INET6) return address;
  const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) == 0) return address;
  uint32_t host = 0;
  std::memcpy(&host, &in6->sin6_addr.s6_addr[12], sizeof host);
  return Address::ipv4(ntohl(host), address.port());
}

Address with_mapping(const Address& address) {
  if (address.storage.ss_family != AF_INET) return address;
  Address mapped;
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&mapped.storage);
  in6->sin6_family = AF_INET6;
  in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(&in6->sin6_addr.s6_addr[12], &reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr,
              sizeof(in_addr));
  in6->sin6_port = htons(address.port());
  mapped.length = sizeof(sockaddr_in6);
  return mapped;
}

base::Result<Address> local_address(int socket) {
  Address address;
  address.length = sizeof address.storage;
  if (getsockname(socket, generic(address.storage), &address.length) != 0) {
    return base::fail_errno("ask for a socket's own address");
  }
  return without_mapping(address);
}

base::Result<Address> peer_address(int socket) {
  Address address;
  address.length = sizeof address.storage;
  if (getpeername(socket, generic(address.storage), &address.length) != 0) {
    return base::fail_errno("ask for a socket's peer");
  }
  return without_mapping(address);
}

void set_stream_options(int socket) {
  // Sockets that are not TCP refuse; they need neither.
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

namespace {

Error resolver_error(const std::string& tried, int code, int number) {
  if (code == EAI_SYSTEM) return Error::system(tried, number);
  const bool later = code == EAI_AGAIN || code == EAI_MEMORY;
  return {later ? ErrorKind::again : ErrorKind::refused, tried + ": " + gai_strerror(code)};
}

base::Result<ResolvedName> look_up(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_CANONNAME;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (code != 0) return std::unexpected(resolver_error("look up host " + host, code, errno));
  const AddressInfo owned(list);
  ResolvedName found;
  found.canonical = list->ai_canonname != nullptr ? list->ai_canonname : host;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    Address address;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.length = one->ai_addrlen;
    address.set_port(port);
    found.addresses.push_back(address);
  }
  if (found.addresses.empty()) return base::fail(ErrorKind::refused, "host " + host + " has no IP address");
  return found;
}

base::Result<std::string> look_up_name(const Address& address) {
  char host[NI_MAXHOST];
  const int code =
      getnameinfo(generic(address.storage), address.length, host, sizeof host, nullptr, 0, NI_NAMEREQD);
  if (code != 0) {
    return std::unexpected(resolver_error("look up the name of " + address.host_text(), code, errno));
  }
  return std::string(host);
}

// One lookup: asked on a worker, which may still be at it when nobody wants the answer any more.
template <class Answer>
class Lookup : public Operation {
 public:
  using Done = std::move_only_function<void(base::Result<Answer>)>;

  template <class Ask>
  Lookup(Loop& loop, uint64_t lane, Ask ask, Done done) : state_(std::make_shared<State>()) {
    state_->done = std::move(done);
    // Shared by the two callbacks only; the loop runs one after the other.
    auto answer = std::make_shared<base::Result<Answer>>(base::fail(ErrorKind::cancelled, "not looked up"));
    loop.offload(
        lane, [answer, ask = std::move(ask)] { *answer = ask(); },
        [answer, weak = std::weak_ptr(state_)] {
          const auto state = weak.lock();
          if (state == nullptr) return;
          if (Done call = std::exchange(state->done, nullptr)) call(std::move(*answer));
        });
  }

 private:
  struct State {
    Done done;
  };
  std::shared_ptr<State> state_;  // one owner; the loop holds it weakly
};

// Spreads lookups over the lanes that have threads of their own; the last one is the strangers'.
uint64_t name_lane(std::string_view key, LookupFor whom) {
  constexpr uint64_t kStrangersLane = kNameLanes - 1;
  if (whom == LookupFor::strangers) return kStrangersLane;
  return std::hash<std::string_view>()(key) % kStrangersLane;
}

}  // namespace

std::unique_ptr<Operation> resolve(Loop& loop, std::string host, uint16_t port,
                                   std::move_only_function<void(base::Result<ResolvedName>)> done,
                                   LookupFor whom) {
  const uint64_t lane = name_lane(host, whom);
  auto ask = [host = std::move(host), port]() -> base::Result<ResolvedName> {
    if (host.empty() || host.find('\0') != std::string::npos) {
      return base::fail(ErrorKind::refused, "\"" + host + "\" is no host name");
    }
    return look_up(host, port);
  };
  return std::make_unique<Lookup<ResolvedName>>(loop, lane, std::move(ask), std::move(done));
}

std::unique_ptr<Operation> name_of_address(Loop& loop, Address address,
                                           std::move_only_function<void(base::Result<std::string>)> done,
                                           LookupFor whom) {
  const uint64_t lane = name_lane(address.host_text(), whom);
  auto ask = [address] { return look_up_name(address); };
  return std::make_unique<Lookup<std::string>>(loop, lane, ask, std::move(done));
}

}  // namespace headrace::loop
