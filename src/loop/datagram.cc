#include "loop/datagram.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "base/alive.h"
#include "loop/socket_options.h"

namespace headrace::loop {
namespace {

using base::ErrorKind;
using base::Result;

// More than any datagram has.
constexpr size_t kReceiveBytes = 65536;
// Asked of the kernel, so that a burst of requests waits there instead of being lost.
constexpr int kReceiveBufferBytes = 4 << 20U;

// Room for the control message that carries an address of either family.
union Control {
  cmsghdr align;
  std::byte bytes[CMSG_SPACE(sizeof(in6_pktinfo))];
};

// Our own address in a received message; one of length 0 when the kernel did not say.
Address own_address(msghdr& message, uint16_t port) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof info);
      return Address::ipv4(ntohl(info.ipi_addr.s_addr), port);
    }
    if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof info);
      Address address;
      auto* in6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
      in6->sin6_family = AF_INET6;
      in6->sin6_addr = info.ipi6_addr;
      in6->sin6_port = htons(port);
      if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) != 0) in6->sin6_scope_id = info.ipi6_ifindex;
      address.length = sizeof(sockaddr_in6);
      return without_mapping(address);
    }
  }
  return {};
}

template <class Info>
void put_control(msghdr& message, Control& control, int level, int type, const Info& info) {
  message.msg_control = &control;
  message.msg_controllen = CMSG_SPACE(sizeof info);
  cmsghdr* one = CMSG_FIRSTHDR(&message);
  one->cmsg_level = level;
  one->cmsg_type = type;
  one->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(one), &info, sizeof info);
}

// Makes a message of this socket's family leave from `from`.
void set_own_address(msghdr& message, Control& control, const Address& from, sa_family_t family) {
  if (from.length == 0) return;
  if (family == AF_INET && from.storage.ss_family == AF_INET) {
    in_pktinfo info{};
    info.ipi_spec_dst = reinterpret_cast<const sockaddr_in*>(&from.storage)->sin_addr;
    put_control(message, control, IPPROTO_IP, IP_PKTINFO, info);
  } else if (family == AF_INET6) {
    const Address mapped = with_mapping(from);
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&mapped.storage);
    in6_pktinfo info{};
    info.ipi6_addr = in6->sin6_addr;
    info.ipi6_ifindex = in6->sin6_scope_id;
    put_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

// The socket has no room, or an ICMP message about an earlier datagram is reported with this one: later.
bool is_passing(int number) {
  return number == ECONNREFUSED || number == ENOBUFS || number == ENOMEM || number == EINTR;
}

class UdpSocket : public DatagramSocket {
 public:
  UdpSocket(Loop& loop, base::Fd socket, std::unique_ptr<Watch> watch, Address local, sa_family_t family)
      : loop_(loop), socket_(std::move(socket)), watch_(std::move(watch)), local_(local), family_(family) {}

  void on_datagram(Received received) override {
    received_ = std::move(received);
    arm();
  }

  Result<> send(std::string bytes, const Address& to, const Address& from) override {
    Outgoing datagram{std::move(bytes), family_ == AF_INET6 ? with_mapping(to) : to, from, 0};
    if (queue_.empty()) {
      const int number = put(datagram);
      if (number == 0) return {};
      if (number != EAGAIN && !is_passing(number)) {
        return base::fail_errno("send a datagram to " + to.text(), number);
      }
    }
    if (queued_bytes_ + datagram.bytes.size() > kMaxQueuedDatagramBytes) {
      ++dropped_;
      return {};
    }
    queued_bytes_ += datagram.bytes.size();
    queue_.push_back(std::move(datagram));
    flush();
    return {};
  }

  Address local() const override { return local_; }
  uint64_t dropped() const override { return dropped_; }

 private:
  struct Outgoing {
    std::string bytes;
    Address to;
    Address from;
    int tries = 0;
  };

  void arm() {
    watch_->await_readable([this] { receive_some(); });
  }

  void receive_some() {
    const auto alive = alive_.ref();
    for (int turn = 0; turn < kDatagramsPerTurn; ++turn) {
      Address from;
      Control control;
      iovec piece{buffer_.data(), buffer_.size()};
      msghdr message{};
      message.msg_name = &from.storage;
      message.msg_namelen = sizeof from.storage;
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      message.msg_control = &control;
      message.msg_controllen = sizeof control;
      const ssize_t got = recvmsg(socket_.get(), &message, 0);
      if (got < 0) {
        if (errno == EAGAIN) break;
        continue;  // an ICMP message about one we sent; the next one may be good
      }
      from.length = message.msg_namelen;
      received_(base::Bytes(buffer_).first(static_cast<size_t>(got)), without_mapping(from),
                own_address(message, local_.port()));
      if (alive.expired()) return;
    }
    arm();
  }

  // 0, or errno.
  int put(const Outgoing& datagram) {
    Control control{};
    iovec piece{const_cast<char*>(datagram.bytes.data()), datagram.bytes.size()};  // sendmsg() only reads it
    msghdr message{};
    message.msg_name = const_cast<sockaddr_storage*>(&datagram.to.storage);
    message.msg_namelen = datagram.to.length;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    set_own_address(message, control, datagram.from, family_);
    return sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0 ? errno : 0;
  }

  // Each that waits gets its try; what is refused for the moment goes to the end and waits for the timer, so
  // that it holds up no other.
  void flush() {
    if (awaiting_room_) return;
    for (size_t left = queue_.size(); left > 0; --left) {
      const int number = put(queue_.front());
      if (number == EAGAIN) {
        awaiting_room_ = true;
        watch_->await_writable([this] {
          awaiting_room_ = false;
          flush();
        });
        return;
      }
      Outgoing datagram = std::move(queue_.front());
      queue_.pop_front();
      if (is_passing(number) && ++datagram.tries < kDatagramTries) {
        queue_.push_back(std::move(datagram));
        continue;
      }
      queued_bytes_ -= datagram.bytes.size();
      if (number != 0) ++dropped_;
    }
    retry_.reset();
    if (!queue_.empty()) retry_ = loop_.after(kDatagramRetryPause, [this] { flush(); });
  }

  Loop& loop_;
  base::Fd socket_;
  std::unique_ptr<Watch> watch_;  // after socket_: goes first
  const Address local_;
  const sa_family_t family_;
  Received received_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kReceiveBytes);
  std::deque<Outgoing> queue_;
  size_t queued_bytes_ = 0;
  uint64_t dropped_ = 0;
  bool awaiting_room_ = false;
  std::unique_ptr<Timer> retry_;
  base::Alive alive_;
};

Result<base::Fd> datagram_socket(const Address& local) {
  base::Fd socket(::socket(local.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!socket) return base::fail_errno("make a UDP socket for " + local.text());
  return socket;
}

int bind_to(const base::Fd& socket, const Address& local) {
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&local.storage), local.length) == 0 ? 0
                                                                                                    : errno;
}

}  // namespace

Result<std::unique_ptr<DatagramSocket>> bind_datagram(Loop& loop, const Address& local) {
  auto socket = datagram_socket(local);
  if (!socket) return std::unexpected(std::move(socket).error());
  if (const int number = bind_to(*socket, local); number != 0) {
    return base::fail_errno("bind UDP " + local.text(), number);
  }
  return adopt_datagram(loop, std::move(*socket));
}

Result<std::unique_ptr<DatagramSocket>> bind_datagram_in_range(Loop& loop, Address local, PortRange range) {
  auto socket = datagram_socket(local);
  if (!socket) return std::unexpected(std::move(socket).error());
  for (unsigned port = range.high; port >= range.low && port > 0; --port) {
    local.set_port(static_cast<uint16_t>(port));
    const int number = bind_to(*socket, local);
    if (number == 0) return adopt_datagram(loop, std::move(*socket));
    if (number == EADDRINUSE) continue;
    if (number == EACCES) {
      return base::fail(ErrorKind::refused, "bind UDP port " + std::to_string(port) +
                                                ": a port below 1024 needs root or CAP_NET_BIND_SERVICE");
    }
    return base::fail_errno("bind UDP port " + std::to_string(port), number);
  }
  return base::fail(ErrorKind::again, "all UDP ports from " + std::to_string(range.low) + " to " +
                                          std::to_string(range.high) + " are in use");
}

Result<std::unique_ptr<DatagramSocket>> adopt_datagram(Loop& loop, base::Fd socket) {
  const std::string name = "descriptor " + std::to_string(socket.get());
  int type = 0;
  socklen_t length = sizeof type;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
    return base::fail_errno("receive datagrams on " + name);
  }
  auto local = local_address(socket.get());
  if (!local) return std::unexpected(std::move(local.error()));
  sockaddr_storage bound{};
  length = sizeof bound;
  getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &length);  // it just worked
  if (type != SOCK_DGRAM || (bound.ss_family != AF_INET && bound.ss_family != AF_INET6)) {
    return base::fail(ErrorKind::refused, name + " is no UDP socket");
  }
  fcntl(socket.get(), F_SETFD, FD_CLOEXEC);  // cannot fail on an open descriptor
  // Neither is vital: without the first bursts are lost and sent again, without the second the kernel chooses
  // where answers come from.
  if (setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes,
                 sizeof kReceiveBufferBytes) != 0) {
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof kReceiveBufferBytes);
  }
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  if (bound.ss_family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  auto watch = loop.watch(socket.get());
  if (!watch) return std::unexpected(std::move(watch.error()));
  return std::make_unique<UdpSocket>(loop, std::move(socket), std::move(*watch), *local, bound.ss_family);
}

}  // namespace headrace::loop
