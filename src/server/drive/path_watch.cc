#include "server/drive/path_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace headrace::drive {
namespace {

// A client's line older than this says nothing of the window.
constexpr auto kFreshClient = std::chrono::seconds(3);

uint64_t ms(base::Duration duration) {
  return static_cast<uint64_t>(
      std::max<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(), 0));
}
double seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }
double part_of(uint64_t before, uint64_t after, double whole_ms) {
  return whole_ms > 0 && after > before ? static_cast<double>(after - before) / whole_ms : 0;
}

flow::MeterSnapshot snapshot_of(const wire::MeterJoint& joint) {
  using std::chrono::milliseconds;
  flow::MeterSnapshot out;
  out.bytes = joint.bytes;
  out.starved = milliseconds(joint.starved_ms);
  out.blocked = milliseconds(joint.blocked_ms);
  out.gated = milliseconds(joint.gated_ms);
  out.throttled = milliseconds(joint.throttled_ms);
  out.busy = milliseconds(joint.busy_ms);
  for (size_t i = 0; i < flow::kFillParts; ++i) out.fill[i] = milliseconds(joint.fill_ms[i]);
  return out;
}

journal::Joint joint_of(std::string name, const flow::MeterSnapshot& meter) {
  journal::Joint out{.name = std::move(name),
                     .bytes = meter.bytes,
                     .starved_ms = ms(meter.starved),
                     .blocked_ms = ms(meter.blocked),
                     .gated_ms = ms(meter.gated),
                     .throttled_ms = ms(meter.throttled),
                     .busy_ms = ms(meter.busy)};
  if (std::ranges::any_of(meter.fill, [](base::Duration spent) { return spent > base::Duration::zero(); }))
    for (const base::Duration spent : meter.fill) out.fill_ms.push_back(ms(spent));
  return out;
}

flow::CpuShare cpu_between(const wire::MeterCpu& before, const wire::MeterCpu& after, double window_ms) {
  return {part_of(before.ran_ms, after.ran_ms, window_ms),
          part_of(before.queued_ms, after.queued_ms, window_ms)};
}

// A client's line whose joints and programs make a path.
bool makes_sense(const wire::MeterLine& line) {
  return !line.joints.empty() && line.joints.size() == line.programs.size();
}

}  // namespace

PathShape path_of(const config::DiskListEntry& disk, journal::Destination to) {
  PathShape out;
  out.to_volume = to == journal::Destination::volume;
  const auto& type = disk.dumptype;
  out.client_filters = config::is_client(type.compress) || type.encrypt == config::Encrypt::client;
  return out;
}

void PathWatch::add(PathSample sample) {
  if (sample.joints.empty()) return;
  const auto age = [](const PathSample& it) { return it.joints.back().age(); };
  // Another pump has taken over (a new volume): what was before does not go on.
  if (!samples_.empty() &&
      (samples_.back().joints.size() != sample.joints.size() || age(sample) < age(samples_.back())))
    samples_.clear();
  if (samples_.empty()) {
    // The meters began at nothing.
    PathSample start{.at = sample.at - age(sample),
                     .joints = std::vector<flow::MeterSnapshot>(sample.joints.size())};
    start.thread = sample.thread;
    start.tcp = sample.tcp ? std::optional(loop::TcpFacts{}) : std::nullopt;
    samples_.push_back(std::move(start));
  }
  samples_.push_back(std::move(sample));
  while (samples_.size() > 2 && samples_[1].at <= samples_.back().at - kVerdictWindow) samples_.pop_front();
}

bool PathWatch::client_is_fresh() const {
  if (samples_.size() < 2) return false;
  const PathSample& last = samples_.back();
  if (!last.client || !makes_sense(last.client->line) || last.client->at + kFreshClient < last.at)
    return false;
  const auto& first = samples_.front().client;
  return !first || (first->line.joints.size() == last.client->line.joints.size() &&
                    first->line.at_ms < last.client->line.at_ms);
}

void PathWatch::observe_client(flow::Observation& out) const {
  const wire::MeterLine& after = samples_.back().client->line;
  // Nothing before: its totals began with the dump.
  wire::MeterLine before;
  before.joints.resize(after.joints.size());
  before.programs.resize(after.programs.size());
  const bool has_before = samples_.front().client.has_value();
  if (has_before) before = samples_.front().client->line;
  const auto window_ms = static_cast<double>(after.at_ms - before.at_ms);
  for (size_t i = 0; i < after.joints.size(); ++i) {
    const auto& program = after.programs[i];
    out.stages.push_back({i == 0 ? flow::Part::source : flow::Part::client_filter, program.name,
                          cpu_between(before.programs[i].cpu, program.cpu, window_ms)});
    out.joints.push_back(flow::shares_between(snapshot_of(before.joints[i]), snapshot_of(after.joints[i])));
  }
  if (has_before && before.thread && after.thread)
    out.client_thread = cpu_between(*before.thread, *after.thread, window_ms);
  if (after.tcp) {
    const wire::MeterTcp old = before.tcp.value_or(wire::MeterTcp{});
    out.sender = flow::SenderTcp{part_of(old.busy_ms, after.tcp->busy_ms, window_ms),
                                 part_of(old.rwnd_limited_ms, after.tcp->rwnd_limited_ms, window_ms),
                                 part_of(old.sndbuf_limited_ms, after.tcp->sndbuf_limited_ms, window_ms),
                                 after.tcp->retransmits - std::min(old.retransmits, after.tcp->retransmits),
                                 static_cast<double>(after.tcp->rtt_us) / 1000};
  }
}

void PathWatch::observe_connection(flow::Observation& out) const {
  const PathSample& first = samples_.front();
  const PathSample& last = samples_.back();
  if (!first.tcp || !last.tcp || last.tcp->segments_received <= first.tcp->segments_received) return;
  flow::ReceiverTcp tcp;
  tcp.segments = last.tcp->segments_received - first.tcp->segments_received;
  const auto bytes = static_cast<double>(last.tcp->bytes_received - first.tcp->bytes_received);
  const double most = static_cast<double>(tcp.segments) * std::max<double>(last.tcp->receive_mss, 1);
  tcp.segment_fill = std::min(bytes / most, 1.0);
  tcp.out_of_order = last.tcp->out_of_order - std::min(first.tcp->out_of_order, last.tcp->out_of_order);
  out.receiver = tcp;
}

std::optional<flow::Observation> PathWatch::observe() const {
  if (samples_.size() < 2 || samples_.back().at <= samples_.front().at) return std::nullopt;
  const PathSample& first = samples_.front();
  const PathSample& last = samples_.back();
  flow::Observation out;
  out.seconds = seconds(last.at - first.at);
  if (!shape_.from_holding) {
    if (client_is_fresh()) {
      observe_client(out);
    } else {
      out.stages.push_back({flow::Part::source});
      out.joints.emplace_back();
      if (shape_.client_filters) {
        out.stages.push_back({flow::Part::client_filter});
        out.joints.emplace_back();
      }
    }
    out.stages.push_back({flow::Part::network});
    observe_connection(out);
  } else {
    out.stages.push_back({flow::Part::holding_disk});
  }
  for (size_t i = 0; i < last.joints.size(); ++i) {
    out.joints.push_back(flow::shares_between(first.joints[i], last.joints[i]));
    const bool end = i + 1 == last.joints.size();
    out.stages.push_back({!end               ? flow::Part::server_filter
                          : shape_.to_volume ? flow::Part::volume
                                             : flow::Part::holding_disk,
                          end ? "" : "the server's filter"});
  }
  const double window_ns = static_cast<double>((last.at - first.at).count());
  out.server_thread =
      flow::CpuShare{static_cast<double>((last.thread.ran - first.thread.ran).count()) / window_ns,
                     static_cast<double>((last.thread.queued - first.thread.queued).count()) / window_ns};
  out.waited_for_room =
      static_cast<double>((last.waited_for_room - first.waited_for_room).count()) / window_ns;
  return out;
}

uint64_t PathWatch::rate() const {
  if (samples_.size() < 2 || samples_.back().at <= samples_.front().at) return 0;
  const uint64_t before = samples_.front().joints.back().bytes;
  const uint64_t after = samples_.back().joints.back().bytes;
  return static_cast<uint64_t>(static_cast<double>(after - std::min(before, after)) /
                               seconds(samples_.back().at - samples_.front().at));
}

std::vector<journal::Joint> PathWatch::joints() const {
  std::vector<journal::Joint> out;
  if (samples_.empty()) return out;
  const PathSample& last = samples_.back();
  if (last.client)
    for (const auto& joint : last.client->line.joints)
      out.push_back(joint_of(joint.name, snapshot_of(joint)));
  for (size_t i = 0; i < last.joints.size(); ++i) {
    const bool end = i + 1 == last.joints.size();
    out.push_back(joint_of(!end && i > 0      ? "server compress"
                           : !end             ? "server receive"
                           : shape_.to_volume ? "volume write"
                                              : "holding write",
                           last.joints[i]));
  }
  return out;
}

std::vector<journal::TcpEnd> PathWatch::tcp() const {
  std::vector<journal::TcpEnd> out;
  if (samples_.empty()) return out;
  const PathSample& last = samples_.back();
  if (last.client && last.client->line.tcp) {
    const auto& tcp = *last.client->line.tcp;
    out.push_back({.end = "client",
                   .busy_ms = tcp.busy_ms,
                   .rwnd_limited_ms = tcp.rwnd_limited_ms,
                   .sndbuf_limited_ms = tcp.sndbuf_limited_ms,
                   .retransmits = tcp.retransmits,
                   .rtt_us = tcp.rtt_us});
  }
  if (last.tcp)
    out.push_back({.end = "server",
                   .segments = last.tcp->segments_received,
                   .out_of_order = last.tcp->out_of_order,
                   .rtt_us = static_cast<uint64_t>(last.tcp->rtt.count())});
  return out;
}

flow::Judgement judge_run(std::span<const flow::Judgement> moving, size_t waiting_for_turn) {
  using flow::Verdict;
  if (moving.empty()) {
    if (waiting_for_turn == 0) return {Verdict::none, 0, "nothing moves"};
    return {Verdict::scheduled, 1,
            fmt::format("nothing moves, and dumps waiting for their turn: {}", waiting_for_turn)};
  }
  struct Share {
    size_t count = 0;
    double confidence = 0;
    const flow::Judgement* surest = nullptr;
  };
  std::map<Verdict, Share> shares;
  for (const auto& judgement : moving) {
    Share& it = shares[judgement.verdict];
    ++it.count;
    it.confidence += judgement.confidence;
    if (it.surest == nullptr || judgement.confidence > it.surest->confidence) it.surest = &judgement;
  }
  const auto& [verdict, top] = *std::ranges::max_element(
      shares, {}, [](const auto& it) { return std::pair(it.second.count, it.second.confidence); });
  const double confidence = top.confidence / static_cast<double>(moving.size());
  const std::string count =
      moving.size() == 1 ? "the one that moves" : fmt::format("{} of {} that move", top.count, moving.size());
  // What only one dump has to itself would leave room for others.
  const bool of_its_own =
      verdict == Verdict::source || verdict == Verdict::throttled || verdict == Verdict::none;
  if (waiting_for_turn > 0 && of_its_own) {
    return {Verdict::scheduled, confidence,
            fmt::format("dumps waiting for their turn: {}; meanwhile {}: {}", waiting_for_turn, count,
                        flow::name_of(verdict))};
  }
  return {verdict, confidence, fmt::format("{}: {}", count, top.surest->evidence)};
}

}  // namespace headrace::drive
