// Time as an interface, so that simulations can drive it. One real implementation; nobody else asks the system.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace headrace::base {

using Duration = std::chrono::nanoseconds;
// Monotonic; meaningful only as differences.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  // Seconds since 1970, for timestamps in files; may jump.
  virtual int64_t wall_seconds() const = 0;
};

// The system's clocks.
class SystemClock : public Clock {
 public:
  Instant now() const override;
  int64_t wall_seconds() const override;
};

// Amanda's timestamp of a moment, local time: "YYYYMMDDHHMMSS".
std::string timestamp14(int64_t unix_seconds);
// The moment a timestamp names (8 digits: midnight); 0 when it is no plausible timestamp.
int64_t unix_of_timestamp(const std::string& stamp);

}  // namespace headrace::base
