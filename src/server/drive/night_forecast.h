// When what is left of a night would end if its dumps started in a given order: a rough picture of the drive
// (drive.h) in which every dump goes as fast as was measured, those of one host share what its dumps ever
// brought together, all dumps what they ever brought together, and the writers take one image after the
// other. It knows no failures and no end of holding disk. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "server/drive/drive_job.h"

namespace headrace::drive {

// What is left of a night.
struct NightRest {
  std::vector<const Job*> waiting = {};  // in the order of the schedule
  std::vector<const Job*> running = {};
  std::vector<JobId> order_so_far = {};  // in which those waiting were to start; others in it do not matter
  uint64_t held_kib = 0;                 // held, and not yet whole on volumes
  int64_t in_parallel = 1;               // dumps at a time
  uint64_t volume_kps = 0;               // what the writers take together; 0: not known
  size_t writers = 1;
  bool has_holding = true;
  const MeasuredTogether* together = nullptr;  // nullptr: nothing is known
};

// What a dump is expected to bring a second (KiB).
double kps_of(const Job& job);

class NightForecast {
 public:
  explicit NightForecast(const NightRest& rest);

  // The seconds until all of it is dumped and written, the mean of a few nights in which some dumps are
  // slower than expected, and others faster: an order that needs everything to go as expected is not a good
  // one. Of an order that is clearly worse than `most` only what the first of these nights say. `order`: of
  // rest.waiting, by index, each once.
  double seconds(std::span<const uint32_t> order, double most);

  // What forecasts have cost so far, in steps of a few nanoseconds.
  size_t steps_taken() const { return steps_; }

 private:
  struct Dump {
    size_t host = 0;
    int spindle = -1;
    double kib = 0;
    double kps = 0;
    bool straight = false;  // to a volume
  };
  struct Host {
    int64_t max_dumps = 1;
    double kps = 0;  // of its dumps together; 0: no limit is known
    std::vector<uint32_t> running = {};
    double wanted = 0;  // what these would bring if each were alone
    double level = 0;   // what none of them exceeds
  };
  struct Running {
    uint32_t dump = 0;
    double left_kib = 0;
    double kps = 0;
  };

  double play(std::span<const uint32_t> order);
  bool may_start(const Dump& dump) const;
  void start(uint32_t number);
  void finish(const Running& it);
  void settle(Host& host) const;
  void share();
  void start_what_may();
  double writer_kps() const;
  void write(double kib, double kps);

  std::vector<Dump> dumps_;  // those waiting, then those running
  size_t waiting_ = 0;
  std::vector<Host> hosts_;
  size_t in_parallel_;
  double held_kib_;
  double volume_kps_;
  double together_kps_ = 0;
  // What each dump brings in each of the nights.
  std::vector<std::vector<double>> worlds_;
  size_t steps_ = 0;

  // Of the night that is being played.
  const std::vector<double>* world_ = nullptr;
  double now_ = 0;
  double end_ = 0;
  std::vector<Running> running_;
  size_t straight_ = 0;
  std::vector<double> writer_free_at_;
  // Of those not started, the next in order; behind all of them, the first.
  std::vector<uint32_t> next_;
  size_t left_ = 0;
};

}  // namespace headrace::drive
