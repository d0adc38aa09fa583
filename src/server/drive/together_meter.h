// The most that dumps bring at a time, those of each host and all of a run: what they share. Counted over
// spans of some seconds, of dumps that were there all the time, two or more of them. Pure; owned by the
// runner.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "server/drive/drive_job.h"

namespace headrace::drive {

// What of many spans says how much a host can bring: those in which the run as a whole brought nearly as much
// as it ever did do not count, since what all dumps share may have held it up.
class TogetherSpans {
 public:
  struct Sum {
    double kps = 0;
    size_t dumps = 0;
  };
  void add(const Sum& all, const std::map<std::string_view, Sum>& hosts);

  // `known_kps`: the most that all dumps brought in earlier runs. Of hosts that never had two dumps at a time
  // in a span that counts, nothing is known.
  MeasuredTogether most(uint64_t known_kps) const;

 private:
  double all_kps_ = 0;
  // By host and by what the run as a whole brought, in steps of its logarithm.
  std::map<std::string, std::map<int, double>, std::less<>> hosts_;
};

class TogetherMeter {
 public:
  struct Moving {
    JobId id = 0;
    std::string_view host;
    int attempt = 1;
    uint64_t bytes = 0;  // that came so far, in this attempt
  };

  // Once a second, of all dumps under way.
  void sample(base::Instant now, std::span<const Moving> dumps);

  MeasuredTogether most(uint64_t known_kps) const { return spans_.most(known_kps); }

 private:
  struct Begun {
    int attempt = 1;
    uint64_t bytes = 0;
  };
  base::Instant begun_at_ = {};
  std::map<JobId, Begun> begun_;
  TogetherSpans spans_;
};

}  // namespace headrace::drive
