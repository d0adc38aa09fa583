#include "loop/tcp_info.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace headrace::loop {

std::optional<TcpFacts> tcp_facts_of(int fd) {
  if (fd < 0) return std::nullopt;
  // A kernel that knows less fills less, and the rest stays zero.
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  using Micros = TcpFacts::Micros;
  TcpFacts out;
  out.busy = Micros(info.tcpi_busy_time);
  out.rwnd_limited = Micros(info.tcpi_rwnd_limited);
  out.sndbuf_limited = Micros(info.tcpi_sndbuf_limited);
  out.bytes_acked = info.tcpi_bytes_acked;
  out.retransmits = info.tcpi_total_retrans;
  out.delivery_rate = info.tcpi_delivery_rate;
  out.bytes_received = info.tcpi_bytes_received;
  out.segments_received = info.tcpi_data_segs_in;
  out.out_of_order = info.tcpi_rcv_ooopack;
  out.receive_mss = info.tcpi_rcv_mss;
  out.receive_rtt = Micros(info.tcpi_rcv_rtt);
  out.rtt = Micros(info.tcpi_rtt);
  // ~0 until the first measurement.
  if (info.tcpi_min_rtt != ~uint32_t{0}) out.least_rtt = Micros(info.tcpi_min_rtt);
  return out;
}

}  // namespace headrace::loop
