#include "server/drive/together_meter.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace headrace::drive {
namespace {

// Long enough that what buffers took in a moment does not count, short enough that small dumps do.
constexpr auto kSpan = std::chrono::seconds(10);
constexpr double kNearly = 0.9;
constexpr double kStep = 1.05;

int step_of(double kps) {
  return static_cast<int>(std::floor(std::log(std::max(kps, 1.0)) / std::log(kStep)));
}

}  // namespace

void TogetherSpans::add(const Sum& all, const std::map<std::string_view, Sum>& hosts) {
  if (all.dumps < 2) return;
  all_kps_ = std::max(all_kps_, all.kps);
  for (const auto& [host, sum] : hosts) {
    if (sum.dumps < 2) continue;
    auto at = hosts_.find(host);
    if (at == hosts_.end()) at = hosts_.try_emplace(std::string(host)).first;
    auto& most = at->second[step_of(all.kps)];
    most = std::max(most, sum.kps);
  }
}

MeasuredTogether TogetherSpans::most(uint64_t known_kps) const {
  MeasuredTogether out{.kps = static_cast<uint64_t>(all_kps_)};
  const int too_much = step_of(kNearly * std::max(all_kps_, static_cast<double>(known_kps)));
  for (const auto& [host, steps] : hosts_) {
    double most = 0;
    for (const auto& [step, kps] : steps)
      if (step < too_much) most = std::max(most, kps);
    if (most >= 1) out.host_kps[host] = static_cast<uint64_t>(most);
  }
  return out;
}

void TogetherMeter::sample(base::Instant now, std::span<const Moving> dumps) {
  if (!begun_.empty() && now - begun_at_ < kSpan) return;
  const double seconds = std::chrono::duration<double>(now - begun_at_).count();
  std::map<std::string_view, TogetherSpans::Sum> hosts;
  TogetherSpans::Sum all;
  for (const auto& it : dumps) {
    const auto begun = begun_.find(it.id);
    if (begun == begun_.end() || begun->second.attempt != it.attempt || it.bytes < begun->second.bytes)
      continue;
    const double kps = static_cast<double>(it.bytes - begun->second.bytes) / 1024 / seconds;
    for (auto* sum : {&hosts[it.host], &all}) {
      sum->kps += kps;
      ++sum->dumps;
    }
  }
  spans_.add(all, hosts);
  begun_at_ = now;
  begun_.clear();
  for (const auto& it : dumps) begun_[it.id] = {it.attempt, it.bytes};
}

}  // namespace headrace::drive
