// Nights of a site in virtual time: the real plan and the real drive; dumps and images are flows that share
// the site's joints (fluid.h). Tells when each night ended and how soon it could have. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timed_site.h"

namespace headrace::timed {

// In which order dumps that may start do so.
enum class Order {
  schedule,  // as planned: priority, then size
  amanda,    // dumporder "tttTTTTTTTTT", Amanda's default
  measured,  // so that the night ends soonest, by measured rates
  searched   // the best found with foresight: the night is played over and over with sizes and rates as they
             // are
};
inline constexpr Order kOrders[] = {Order::schedule, Order::amanda, Order::measured};
std::string_view name_of(Order order);

struct NightResult {
  double seconds = 0;        // when the last image was on a volume, or the last dump on holding disk
  double bound_seconds = 0;  // no order of the same work is faster
  std::string bound_by = {};
  size_t dumps = 0;
  size_t not_dumped = 0;     // failed or given up
  double drive_stops = 0;    // times a drive had to wait for data
  double paced_seconds = 0;  // in which dumps were held back for a drive
  double efficiency() const { return seconds > 0 ? bound_seconds / seconds : 1; }
};

struct Choice {
  Order order = Order::schedule;
  size_t tries = 0;  // of the order `searched`
  bool paced = false;
};

// The first nights, in which everything is a first full, are played but not told.
std::vector<NightResult> play(const Site& site, Choice choice, size_t nights, unsigned seed);

}  // namespace headrace::timed
