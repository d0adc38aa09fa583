// What changes about a site from night to night, beside the content of its disks: its disklist, its
// configuration, its holding disks, who runs it and when. Drawn from random numbers of its own, so that a
// seed's site without any of it plays as it ever did. Values; pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenario.h"
#include "sim/random.h"

namespace headrace::simulation {

// What is in force of the configuration in a night.
struct Rules {
  int64_t dumpcycle_days = 0, tapecycle = 0, runtapes = 0, in_parallel = 0, max_dumps = 0;
  std::string strategy = "standard";
  std::string holdingdisk = "auto";

  static Rules of(const Scenario& scenario);
  friend bool operator==(const Rules&, const Rules&) = default;
};

// What happens to one night. `when` are seconds after its begin.
struct NightUnrest {
  int64_t days_before = 0;  // nobody was there: no runs
  bool renames = false;     // one disk gets another name
  bool leaves = false;      // one leaves the disklist
  bool comes = false;       // a new one is added
  bool volumes_away = false;
  int64_t clock_off = 0;      // seconds, in this night alone
  bool holding_gone = false;  // one holding disk's directory is not there …
  int64_t gone_when = 0;      // … from then on; negative: from before the run
  int64_t back_when = 0;      // … until then, or until the run has ended
  bool second_run = false;
  int64_t second_when = 0;
  uint64_t choice = 0;  // which disk, which holding disk, which disks of the second run
};

class UnrestSource {
 public:
  UnrestSource(const Scenario& scenario, uint64_t seed);
  // In order of nights. Changes the rules.
  NightUnrest next();
  const Rules& rules() const { return rules_; }

 private:
  void change_rules();

  const Scenario& scenario_;
  sim::Random random_;
  Rules rules_;
  int64_t nights_without_volumes_ = 0;  // still to come
};

}  // namespace headrace::simulation
