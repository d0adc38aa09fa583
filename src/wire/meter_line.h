// A client's meters on their way to its server: one line of the MESG stream a second, from a Headrace client
// to a Headrace server that showed feature headrace_meters, and to nobody else. All figures are totals since
// the dump began, so that a line that was left out costs nothing. Pure. Grammar and why: doc/meter-lines.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::wire {

// No line is longer, with its newline; a longer one is not read.
inline constexpr size_t kMaxMeterLineBytes = 4096;
inline constexpr size_t kMaxMeterItems = 12;  // programs, and joints
inline constexpr size_t kMeterFillParts = 8;

struct MeterCpu {
  uint64_t ran_ms = 0;
  uint64_t queued_ms = 0;  // ready to run, without a processor
  bool operator==(const MeterCpu&) const = default;
};
struct MeterProgram {
  std::string name;  // "tar", "compress": small letters, digits and blanks
  MeterCpu cpu;
  bool operator==(const MeterProgram&) const = default;
};
struct MeterJoint {
  std::string name;  // as a program's: "network send"
  uint64_t bytes = 0;
  uint64_t starved_ms = 0, blocked_ms = 0, gated_ms = 0, throttled_ms = 0, busy_ms = 0;
  std::array<uint64_t, kMeterFillParts> fill_ms = {};
  bool operator==(const MeterJoint&) const = default;
};
struct MeterTcp {
  uint64_t busy_ms = 0, rwnd_limited_ms = 0, sndbuf_limited_ms = 0;
  uint64_t retransmits = 0;
  uint64_t rtt_us = 0;         // of this moment
  uint64_t delivery_rate = 0;  // bytes a second, of this moment
  bool operator==(const MeterTcp&) const = default;
};

struct MeterLine {
  uint64_t at_ms = 0;                       // since the dump began, by the client's clock
  std::optional<MeterCpu> thread = {};      // the one that moves the data
  std::vector<MeterProgram> programs = {};  // the archiver, then the filters in order
  std::vector<MeterJoint> joints = {};      // in the order of the path
  std::optional<MeterTcp> tcp = {};
  bool operator==(const MeterLine&) const = default;
};

// What follows "sendbackup: meter ", without a newline.
std::string encode_meter(const MeterLine& meter);
// nullopt: another version, or nothing this can read. Items it does not know are passed over.
std::optional<MeterLine> parse_meter(std::string_view text);

}  // namespace headrace::wire
