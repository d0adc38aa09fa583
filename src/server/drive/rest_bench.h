// What is left of a night, as tests of orders and forecasts say it. Tests only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "server/drive/night_forecast.h"

namespace headrace::drive {

// `seconds` of a dump that measured 100 KiB/s.
inline Job lasting(JobId id, std::string host, uint64_t seconds) {
  return {
      .id = id, .host = std::move(host), .est_stored_kib = 100 * seconds, .max_dumps = 10, .own_kps = 100};
}

// Owns the jobs that the NightRest it gives points to.
struct PlayedRest {
  std::vector<Job> waiting;
  std::vector<Job> running = {};
  uint64_t held_kib = 0;
  int64_t in_parallel = 4;
  uint64_t volume_kps = 0;
  size_t writers = 1;
  bool has_holding = true;
  MeasuredTogether together = {};
  std::vector<JobId> order_so_far = {};

  NightRest rest() const {
    NightRest rest{.order_so_far = order_so_far,
                   .held_kib = held_kib,
                   .in_parallel = in_parallel,
                   .volume_kps = volume_kps,
                   .writers = writers,
                   .has_holding = has_holding,
                   .together = &together};
    for (const auto& job : waiting) rest.waiting.push_back(&job);
    for (const auto& job : running) rest.running.push_back(&job);
    return rest;
  }
};

}  // namespace headrace::drive
