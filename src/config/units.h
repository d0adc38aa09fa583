// Amanda's units, as amanda.conf takes them behind a number, and rates as a command line takes them. Pure.
// Source: amanda.conf(5).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace headrace::config {

// A unit's factor; for sizes in KiB the divisor too.
struct Unit {
  std::string_view names;  // in capitals, separated by blanks
  int64_t factor;
  int64_t kib_factor;
  int64_t kib_divisor;
};

inline constexpr int64_t kKi = 1024;
inline constexpr auto kUnits = std::to_array<Unit>({
    {" B BYTE BYTES BPS DAY DAYS TAPE TAPES ", 1, 1, kKi},
    {" WEEK WEEKS ", 7, 7, 1},
    {" K KB KBYTE KBYTES KILOBYTE KILOBYTES KBPS KPS ", kKi, 1, 1},
    {" M MB MEG MBYTE MBYTES MEGABYTE MEGABYTES MBPS MPS ", kKi* kKi, kKi, 1},
    {" G GB GBYTE GBYTES GIG GIGABYTE GIGABYTES GBPS ", kKi* kKi* kKi, kKi* kKi, 1},
    {" T TB TBYTE TBYTES TERA TERABYTE TERABYTES TBPS ", kKi* kKi* kKi* kKi, kKi* kKi* kKi, 1},
});

// Whether `word` is one of the words, which are separated by blanks.
inline bool listed(std::string_view words, const std::string& word) {
  return !word.empty() && (" " + std::string(words) + " ").find(" " + word + " ") != std::string::npos;
}

// Bytes a second of "10 mbps", "5 MB/s", "1.5M", "800" (KiB/s, as netusage has it); 0 of "none". Refused for
// anything else and for less than 1 KiB/s, saying what is taken.
base::Result<int64_t> parse_rate(std::string_view text);

}  // namespace headrace::config
