#include "server/drive/night_forecast.h"

#include <algorithm>
#include <limits>
#include <random>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace headrace::drive {
namespace {

// Nights played for one forecast: as expected, and with rates that miss by up to kMiss.
constexpr size_t kWorlds = 4;
constexpr double kMiss = 0.25;
constexpr double kClearlyWorse = 1.02;

// What nobody exceeds when all of `all` share `capacity`, each wants `want(it)`, and what one does not use
// the others get. They want more than there is.
template <class Range, class Want>
double level_of(double capacity, const Range& all, Want want) {
  size_t above = all.size();
  double level = capacity / static_cast<double>(above);
  // Each round the level rises, and some more are below it, or it stays.
  for (;;) {
    size_t now_above = 0;
    double below = 0;
    for (const auto& it : all) {
      if (want(it) <= level)
        below += want(it);
      else
        ++now_above;
    }
    if (now_above >= above || now_above == 0) return level;
    above = now_above;
    level = (capacity - below) / static_cast<double>(above);
  }
}

}  // namespace

double kps_of(const Job& job) {
  if (job.own_kps > 0) return static_cast<double>(job.own_kps);
  return static_cast<double>(job.est_kps > 0 ? job.est_kps : kUnknownKps);
}

NightForecast::NightForecast(const NightRest& rest)
    : waiting_(rest.waiting.size()),
      in_parallel_(static_cast<size_t>(std::max<int64_t>(rest.in_parallel, 1))),
      held_kib_(static_cast<double>(rest.held_kib)),
      volume_kps_(static_cast<double>(rest.volume_kps)),
      writer_free_at_(std::max<size_t>(rest.writers, 1)) {
  std::unordered_map<std::string_view, size_t> numbers;
  const auto add = [&](const Job& job, double share) {
    const auto [at, fresh] = numbers.try_emplace(job.host, hosts_.size());
    if (fresh) hosts_.emplace_back();
    auto& host = hosts_[at->second];
    host.max_dumps = std::max(host.max_dumps, job.max_dumps);
    if (rest.together != nullptr)
      if (const auto known = rest.together->host_kps.find(job.host); known != rest.together->host_kps.end())
        host.kps = std::max(static_cast<double>(known->second), kps_of(job));
    dumps_.push_back({.host = at->second,
                      .spindle = job.spindle,
                      .kib = std::max(static_cast<double>(job.est_stored_kib), 1.0) * share,
                      .kps = kps_of(job),
                      .straight = job.holding == config::Holding::never || !rest.has_holding});
  };
  for (const auto* job : rest.waiting) add(*job, 1);
  // How far they are nobody says; half of each is left, on average.
  for (const auto* job : rest.running) add(*job, 0.5);
  if (rest.together != nullptr) together_kps_ = static_cast<double>(rest.together->kps);
  std::minstd_rand random(1);
  for (size_t i = 0; i < kWorlds; ++i) {
    auto& world = worlds_.emplace_back();
    for (const auto& dump : dumps_) {
      const double miss = i == 0 ? 0 : kMiss * (static_cast<double>(random() % 2001) / 1000 - 1);
      world.push_back(dump.kps * (1 + miss));
    }
  }
}

double NightForecast::seconds(std::span<const uint32_t> order, double most) {
  double sum = 0;
  double nights = 0;
  for (const auto& world : worlds_) {
    world_ = &world;
    sum += play(order);
    nights += 1;
    if (sum > most * nights * kClearlyWorse) break;
  }
  return sum / nights;
}

bool NightForecast::may_start(const Dump& dump) const {
  if (std::cmp_greater_equal(hosts_[dump.host].running.size(), hosts_[dump.host].max_dumps)) return false;
  if (dump.straight && straight_ >= writer_free_at_.size()) return false;
  if (dump.spindle == -1) return true;
  return std::ranges::none_of(running_, [&](const Running& it) {
    return dumps_[it.dump].host == dump.host && dumps_[it.dump].spindle == dump.spindle;
  });
}

void NightForecast::start(uint32_t number) {
  const auto& dump = dumps_[number];
  auto& host = hosts_[dump.host];
  host.running.push_back(number);
  host.wanted += (*world_)[number];
  settle(host);
  running_.push_back({number, dump.kib, 0});
  if (!dump.straight) return;
  ++straight_;
  if (volume_kps_ > 0) write(dump.kib, std::min((*world_)[number], writer_kps()));
}

void NightForecast::finish(const Running& it) {
  const auto& dump = dumps_[it.dump];
  auto& host = hosts_[dump.host];
  std::erase(host.running, it.dump);
  host.wanted -= (*world_)[it.dump];
  settle(host);
  end_ = std::max(end_, now_);
  if (dump.straight)
    --straight_;
  else if (volume_kps_ > 0)
    write(dump.kib, writer_kps());
}

double NightForecast::writer_kps() const { return volume_kps_ / static_cast<double>(writer_free_at_.size()); }

// By the writer that is free first.
void NightForecast::write(double kib, double kps) {
  auto& free_at = *std::ranges::min_element(writer_free_at_);
  free_at = std::max(free_at, now_) + kib / kps;
  end_ = std::max(end_, free_at);
}

// What each of the host's dumps gets of what these share.
void NightForecast::settle(Host& host) const {
  host.level = std::numeric_limits<double>::infinity();
  if (host.kps > 0 && host.running.size() > 1 && host.wanted > host.kps)
    host.level = level_of(host.kps, host.running, [&](uint32_t number) { return (*world_)[number]; });
}

// Gives each what its host's and all dumps' sharing leaves it.
void NightForecast::share() {
  double all = 0;
  for (auto& it : running_) {
    it.kps = std::min((*world_)[it.dump], hosts_[dumps_[it.dump].host].level);
    all += it.kps;
  }
  if (together_kps_ <= 0 || all <= together_kps_ || running_.size() < 2) return;
  const double level = level_of(together_kps_, running_, [](const Running& it) { return it.kps; });
  for (auto& it : running_) it.kps = std::min(it.kps, level);
}

void NightForecast::start_what_may() {
  const auto last = static_cast<uint32_t>(waiting_);
  for (uint32_t before = last; left_ > 0 && running_.size() < in_parallel_;) {
    const uint32_t number = next_[before];
    if (number == last) return;
    ++steps_;
    if (may_start(dumps_[number])) {
      next_[before] = next_[number];
      --left_;
      start(number);
    } else {
      before = number;
    }
  }
}

double NightForecast::play(std::span<const uint32_t> order) {
  running_.clear();
  straight_ = 0;
  for (auto& host : hosts_) {
    host.running.clear();
    host.wanted = 0;
    settle(host);
  }
  now_ = 0;
  end_ = volume_kps_ > 0 ? held_kib_ / volume_kps_ : 0;
  std::ranges::fill(writer_free_at_, end_);
  next_.resize(waiting_ + 1);
  uint32_t before = static_cast<uint32_t>(waiting_);
  for (const uint32_t number : order) before = next_[before] = number;
  next_[before] = static_cast<uint32_t>(waiting_);
  left_ = order.size();
  for (size_t i = waiting_; i < dumps_.size(); ++i) start(static_cast<uint32_t>(i));
  while (!running_.empty() || left_ > 0) {
    start_what_may();
    share();
    steps_ += 4 + 3 * running_.size();
    double step = std::numeric_limits<double>::infinity();
    for (const auto& it : running_) step = std::min(step, it.left_kib / it.kps);
    now_ += step;
    for (size_t i = 0; i < running_.size();) {
      auto& it = running_[i];
      it.left_kib -= it.kps * step;
      if (it.left_kib > 1e-6 * it.kps) {
        ++i;
        continue;
      }
      finish(it);
      it = running_.back();
      running_.pop_back();
    }
  }
  return end_;
}

}  // namespace headrace::drive
