#include "server/drive/finish_order.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace headrace::drive {
namespace {

double kps_of(const Job& job) {
  if (job.own_kps > 0) return static_cast<double>(job.own_kps);
  return static_cast<double>(job.est_kps > 0 ? job.est_kps : kUnknownKps);
}
double seconds_of(const Job& job) { return static_cast<double>(job.est_stored_kib) / kps_of(job); }
double at_least_one(int64_t number) { return static_cast<double>(std::max<int64_t>(number, 1)); }

struct Place {
  int64_t priority = 0;
  double behind = 0;  // seconds that cannot go on beside anything else, from its start
  double own = 0;     // seconds
  double kps = 0;
  JobId id = 0;
};

}  // namespace

std::vector<JobId> finish_order(const NightRest& rest) {
  std::unordered_map<std::string_view, double> hosts;
  std::map<std::pair<std::string_view, int>, double> spindles;
  double dumping = 0;
  double kib = static_cast<double>(rest.held_kib);
  const auto count = [&](const Job& job, double share) {
    const double seconds = seconds_of(job) * share;
    hosts[job.host] += seconds;
    if (job.spindle != -1) spindles[{job.host, job.spindle}] += seconds;
    dumping += seconds;
    kib += static_cast<double>(job.est_stored_kib);
  };
  for (const auto* job : rest.waiting) count(*job, 1);
  // How far they are nobody says; half of each is left, on average.
  for (const auto* job : rest.running) count(*job, 0.5);
  const auto seconds_to_write = [&rest](double kib) {
    return rest.volume_kps > 0 ? kib / static_cast<double>(rest.volume_kps) : 0;
  };

  std::vector<Place> places;
  double longest = 0;
  for (const auto* job : rest.waiting) {
    const double own = seconds_of(*job);
    double behind = std::max(own, hosts[job->host] / at_least_one(job->max_dumps));
    if (job->spindle != -1) behind = std::max(behind, spindles[{job->host, job->spindle}]);
    longest = std::max(longest, behind);
    const double write = seconds_to_write(static_cast<double>(job->est_stored_kib));
    places.push_back({job->priority, behind + write, own, kps_of(*job), job->id});
  }
  const double dumped_in = std::max(longest, dumping / at_least_one(rest.in_parallel));
  if (seconds_to_write(kib) > dumped_in && seconds_to_write(static_cast<double>(rest.held_kib)) < longest) {
    std::ranges::stable_sort(places, std::greater(),
                             [](const Place& it) { return std::tuple(it.priority, it.kps); });
  } else {
    std::ranges::stable_sort(places, std::greater(),
                             [](const Place& it) { return std::tuple(it.priority, it.behind, it.own); });
  }
  std::vector<JobId> order;
  for (const auto& place : places) order.push_back(place.id);
  return order;
}

}  // namespace headrace::drive
