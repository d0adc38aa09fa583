#include "client/backup/meter_report.h"

#include <algorithm>

#include "loop/cpu_use.h"
#include "loop/tcp_info.h"

namespace headrace::client {
namespace {

uint64_t ms(base::Duration duration) {
  return static_cast<uint64_t>(
      std::max<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(), 0));
}

wire::MeterCpu cpu_of(const loop::CpuUse& use) { return {ms(use.ran), ms(use.queued)}; }

wire::MeterProgram program_of(std::string name, pid_t pid) {
  return {std::move(name), cpu_of(loop::cpu_use_of(pid).value_or(loop::CpuUse{}))};
}

wire::MeterJoint joint_of(std::string name, const flow::MeterSnapshot& meter) {
  static_assert(wire::kMeterFillParts == flow::kFillParts);
  wire::MeterJoint out;
  out.name = std::move(name);
  out.bytes = meter.bytes;
  out.starved_ms = ms(meter.starved);
  out.blocked_ms = ms(meter.blocked);
  out.gated_ms = ms(meter.gated);
  out.throttled_ms = ms(meter.throttled);
  out.busy_ms = ms(meter.busy);
  std::ranges::transform(meter.fill, out.fill_ms.begin(), ms);
  return out;
}

}  // namespace

wire::MeterLine meters_of(const flow::FilterChain& path, const Archiver& archiver, int data_fd,
                          base::Duration age) {
  wire::MeterLine out;
  out.at_ms = ms(age);
  out.thread = cpu_of(loop::cpu_use_of_this_thread());
  out.programs.push_back(program_of("tar", archiver.pid()));
  const auto filters = path.programs();
  for (const auto& filter : filters) out.programs.push_back(program_of(filter.role, filter.pid));
  const auto meters = path.meters();
  for (size_t i = 0; i < meters.size(); ++i) {
    // A joint is called by what it takes from, the last by where it sends to.
    const std::string name = i + 1 == meters.size() ? "network send"
                             : i == 0               ? "source"
                                                    : "client " + filters[i - 1].role;
    out.joints.push_back(joint_of(name, meters[i]->snapshot()));
  }
  if (const auto tcp = loop::tcp_facts_of(data_fd)) {
    out.tcp = wire::MeterTcp{ms(tcp->busy),
                             ms(tcp->rwnd_limited),
                             ms(tcp->sndbuf_limited),
                             tcp->retransmits,
                             static_cast<uint64_t>(tcp->rtt.count()),
                             tcp->delivery_rate};
  }
  return out;
}

}  // namespace headrace::client
