#include "server/drive/finish_order.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace headrace::drive {
namespace {

// Of the forecast, for one search: the loop waits for it, some milliseconds.
constexpr size_t kMostSteps = 3'000'000;
constexpr size_t kMostTries = 500;
// An order has to end so much sooner than the one it displaces: estimates are not that good.
constexpr double kSooner = 0.9995;

using Order = std::vector<uint32_t>;  // of NightRest::waiting

double seconds_of(const Job& job) { return static_cast<double>(job.est_stored_kib) / kps_of(job); }
double at_least_one(int64_t number) { return static_cast<double>(std::max<int64_t>(number, 1)); }

class Search {
 public:
  explicit Search(const NightRest& rest) : rest_(rest) {}

  Order best() {
    const auto longest_first = sorted([this, behind = behind()](uint32_t i) {
      return std::tuple(-behind[i], -seconds_of(*rest_.waiting[i]));
    });
    best_ = longest_first;
    if (best_.size() < 2 || !measured()) return best_;
    forecast_.emplace(rest_);
    ends_ = forecast_->seconds(best_, std::numeric_limits<double>::infinity());
    try_order(sorted([](uint32_t) { return 0; }));
    try_order(order_so_far());
    const auto fastest_first = sorted([this](uint32_t i) { return -kps_of(*rest_.waiting[i]); });
    const auto shortest_first = sorted([this](uint32_t i) { return seconds_of(*rest_.waiting[i]); });
    try_order(fastest_first);
    for (size_t number = 1; number < best_.size(); number *= 2) {
      try_order(with_starters(longest_first, shortest_first, number));
      try_order(with_starters(longest_first, fastest_first, number));
    }
    change_places();
    return best_;
  }
  bool used_forecast() const { return forecast_.has_value(); }

 private:
  // By priority, then by `key`, rising, then as scheduled.
  template <class Key>
  Order sorted(Key key) const {
    Order order(rest_.waiting.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {},
                             [&](uint32_t i) { return std::pair(-rest_.waiting[i]->priority, key(i)); });
    return order;
  }

  // A forecast from rates that nobody measured, or of dumps that share what nobody knows, would be made up.
  bool measured() const {
    if (rest_.in_parallel > 1 && (rest_.together == nullptr || rest_.together->kps == 0)) return false;
    double known = 0;
    double all = 0;
    for (const auto* job : rest_.waiting) {
      const auto kib = static_cast<double>(job->est_stored_kib);
      all += kib;
      if (job->own_kps > 0) known += kib;
    }
    return 2 * known > all;
  }

  double together_kps_of(const std::string& host) const {
    if (rest_.together == nullptr) return 0;
    const auto known = rest_.together->host_kps.find(host);
    return known == rest_.together->host_kps.end() ? 0 : static_cast<double>(known->second);
  }

  // Seconds that cannot go on beside anything else, from the start of each.
  std::vector<double> behind() const {
    struct Sum {
      double seconds = 0;
      double kib = 0;
    };
    std::unordered_map<std::string_view, Sum> hosts;
    std::map<std::pair<std::string_view, int>, double> spindles;
    const auto count = [&](const Job& job, double share) {
      const double seconds = seconds_of(job) * share;
      auto& host = hosts[job.host];
      host.seconds += seconds;
      host.kib += static_cast<double>(job.est_stored_kib) * share;
      if (job.spindle != -1) spindles[{job.host, job.spindle}] += seconds;
    };
    for (const auto* job : rest_.waiting) count(*job, 1);
    for (const auto* job : rest_.running) count(*job, 0.5);
    std::vector<double> behind;
    for (const auto* job : rest_.waiting) {
      const auto& host = hosts[job->host];
      double longest = std::max(seconds_of(*job), host.seconds / at_least_one(job->max_dumps));
      if (const double kps = together_kps_of(job->host); kps > 0) longest = std::max(longest, host.kib / kps);
      if (job->spindle != -1) longest = std::max(longest, spindles[{job->host, job->spindle}]);
      if (rest_.volume_kps > 0)
        longest += static_cast<double>(job->est_stored_kib) / static_cast<double>(rest_.volume_kps);
      behind.push_back(longest);
    }
    return behind;
  }

  Order order_so_far() const {
    std::unordered_map<JobId, size_t> places;
    for (const JobId id : rest_.order_so_far) places.try_emplace(id, places.size());
    return sorted([&](uint32_t i) {
      const auto at = places.find(rest_.waiting[i]->id);
      return at == places.end() ? places.size() : at->second;
    });
  }

  // `order`, with the first `number` of `starters` before the others.
  Order with_starters(const Order& order, const Order& starters, size_t number) const {
    Order out(starters.begin(), starters.begin() + static_cast<std::ptrdiff_t>(number));
    std::vector<bool> begun(order.size());
    for (const uint32_t i : out) begun[i] = true;
    std::ranges::copy_if(order, std::back_inserter(out), [&begun](uint32_t i) { return !begun[i]; });
    std::ranges::stable_sort(out, std::greater(), [this](uint32_t i) { return rest_.waiting[i]->priority; });
    return out;
  }

  void try_order(Order order) {
    if (!enough_steps()) return;
    const double most = ends_ * kSooner;
    const double ends = forecast_->seconds(order, most);
    if (ends >= most) return;
    ends_ = ends;
    best_ = std::move(order);
  }

  bool enough_steps() const { return forecast_->steps_taken() < kMostSteps; }

  // Of one priority.
  void change_places() {
    std::minstd_rand random(1);
    const auto below = [&random](size_t most) { return static_cast<size_t>(random()) % most; };
    for (size_t tries = 0; tries < kMostTries && enough_steps(); ++tries) {
      Order order = best_;
      for (size_t changes = 1 + below(3); changes > 0; --changes) {
        const size_t from = below(order.size());
        const size_t to = below(order.size());
        if (rest_.waiting[order[from]]->priority != rest_.waiting[order[to]]->priority) continue;
        const auto at = [&order](size_t place) { return order.begin() + static_cast<std::ptrdiff_t>(place); };
        if (below(2) == 0)
          std::swap(order[from], order[to]);
        else if (from < to)
          std::rotate(at(from), at(from + 1), at(to + 1));
        else
          std::rotate(at(to), at(from), at(from + 1));
      }
      try_order(std::move(order));
    }
  }

  const NightRest& rest_;
  std::optional<NightForecast> forecast_ = {};  // none: too little is known for one
  Order best_ = {};
  double ends_ = 0;
};

}  // namespace

FinishOrder finish_order(const NightRest& rest) {
  FinishOrder out;
  Search search(rest);
  for (const uint32_t i : search.best()) out.ids.push_back(rest.waiting[i]->id);
  out.forecast = search.used_forecast();
  return out;
}

}  // namespace headrace::drive
