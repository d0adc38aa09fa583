#include "base/clock.h"

#include <fmt/format.h>

#include <cctype>
#include <ctime>

namespace headrace::base {

Instant SystemClock::now() const { return std::chrono::steady_clock::now(); }
int64_t SystemClock::wall_seconds() const { return std::time(nullptr); }

std::string timestamp14(int64_t unix_seconds) {
  const std::time_t moment = unix_seconds;
  std::tm tm{};
  localtime_r(&moment, &tm);
  return fmt::format("{:04}{:02}{:02}{:02}{:02}{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                     tm.tm_min, tm.tm_sec);
}

int64_t unix_of_timestamp(const std::string& stamp) {
  if (stamp.size() != 8 && stamp.size() != 14) return 0;
  for (char c : stamp) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return 0;
  }
  auto number = [&](size_t at, size_t n) { return at < stamp.size() ? std::stoi(stamp.substr(at, n)) : 0; };
  std::tm tm{};
  tm.tm_year = number(0, 4) - 1900;
  tm.tm_mon = number(4, 2) - 1;
  tm.tm_mday = number(6, 2);
  tm.tm_hour = number(8, 2);
  tm.tm_min = number(10, 2);
  tm.tm_sec = number(12, 2);
  if (tm.tm_year < 90 || tm.tm_year > 200 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
      tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60) {
    return 0;
  }
  tm.tm_isdst = -1;
  return std::mktime(&tm);
}

}  // namespace headrace::base
