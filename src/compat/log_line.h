// The lines of Amanda's run log as values, one struct a kind, with their text form both ways. Pure. Hosts,
// disks and reasons are kept unquoted. Strings that an old log does not have are empty, numbers -1. Source:
// observed with Amanda 3.5.1; older forms as its readers take them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"

namespace headrace::compat {

// Names as in the log: "planner", "driver", "dumper", "chunker", "taper", "amdump", "amflush", "amvault", …
using ProgramName = std::string;

// INFO PROGRAM NAME pid N
struct PidLine {
  ProgramName program;
  std::string name;
  int64_t pid = 0;
};
// INFO PROGRAM pid-done N
struct PidDoneLine {
  ProgramName program;
  int64_t pid = 0;
};
// START PROGRAM date T
struct StartLine {
  ProgramName program;
  std::string date;
};
// FINISH PROGRAM date T time S
struct FinishLine {
  ProgramName program;
  std::string date;
  double seconds = 0;
};
// DISK PROGRAM HOST DISK: it is part of this run.
struct DiskLine {
  ProgramName program;
  std::string host, disk;
};
// STATS driver hostname H; STATS driver startup time S
struct HostnameLine {
  ProgramName program;
  std::string hostname;
};
struct StartupLine {
  ProgramName program;
  double seconds = 0;
};
// STATS driver estimate …: what was expected of a dump that is now complete.
struct EstimateLine {
  std::string host, disk, timestamp;
  int level = 0;
  int64_t seconds = 0, native_kib = 0, stored_kib = 0, kps = 0;
};
// SUCCESS planner … [skipped: REASON]: not dumped, on purpose ("skip-incr", "skip-full").
struct SkippedLine {
  std::string host, disk, timestamp;
  int level = 0;
  std::string reason;
};
// FAIL planner|driver|dumper|chunker …; `messages` are continuation lines without their two blanks.
struct FailLine {
  ProgramName program;
  std::string host, disk, timestamp;
  int level = 0;
  std::string reason;  // without the brackets around it
  std::vector<std::string> messages{};
};
// RETRY dumper … delay D level L message "M"
struct RetryLine {
  std::string host, disk, timestamp;
  int level = 0;
  int64_t delay_seconds = 0;
  int retry_level = 0;
  std::string message;
};
// SUCCESS dumper, STRANGE dumper
struct DumpedLine {
  bool strange = false;
  std::string host, disk;
  std::string timestamp;  // not written, and empty when read, if strange
  int level = 0;
  bool has_crcs = true;
  base::CrcAndSize native, client;
  double seconds = 0;
  int64_t stored_kib = 0;
  double kps = 0;
  int64_t native_kib = -1;  // -1: unknown
  std::vector<std::string> messages{};
};
// SUCCESS chunker, PARTIAL chunker
struct ChunkedLine {
  bool partial = false;
  std::string host, disk, timestamp;
  int level = 0;
  bool has_crc = true;
  base::CrcAndSize server;
  double seconds = 0;
  int64_t stored_kib = 0;
  double kps = 0;
};
// START taper datestamp W "ST:s" "POOL:p" label L tape N
struct TapeStartLine {
  std::string datestamp;  // the volume's write timestamp
  std::string storage, pool;
  std::string label;
  int64_t tape = 1;  // ordinal within the run
};
struct TaperStats {
  double seconds = 0;
  uint64_t bytes = 0;
  double kps = 0;
  int64_t native_kib = -1;  // -1: unknown
  // As Amanda counts: whole KiB over the seconds; 0 seconds become 0.1.
  static TaperStats of(double seconds, uint64_t bytes, int64_t native_kib);
};
// PART taper, PARTPARTIAL taper
struct PartLine {
  bool partial = false;  // this part failed; its number will come again
  std::string storage, pool;
  std::string label;
  int64_t fileno = 0;
  std::string host, disk, timestamp;
  int64_t part = 1;
  int64_t total = -1;  // -1: not known when written
  int level = 0;
  TaperStats stats;
  std::string reason{};  // of a partial one
};
struct TapedCrcs {
  base::CrcAndSize native, client, server;
  bool operator==(const TapedCrcs&) const = default;
};
// DONE taper, PARTIAL taper: the image is complete on its volumes, or is not.
struct TapedLine {
  bool partial = false;
  std::string storage, pool;
  std::string host, disk, timestamp;
  int64_t parts = -1;
  int level = 0;
  std::optional<TapedCrcs> crcs;
  TaperStats stats;
  std::string reason{};  // of a partial one
};
// FAIL taper [VAULT] … error|config "reason"
struct TaperFailLine {
  bool vault = false;
  std::string storage, pool;
  std::string host, disk, timestamp;
  int level = 0;
  bool config = false;  // refused by the configuration (runtapes and the like), not an error
  std::string reason;
};
// ERROR taper no-tape error|config [reason]
struct NoTapeLine {
  bool config = false;
  std::string reason;
};
// INFO taper tape L kb K fm F [OK]: summary of one volume.
struct TapeSummaryLine {
  std::string label;
  int64_t kib = 0;
  int64_t files = 0;
  std::string outcome = "OK";
};
// Every other line: INFO, WARNING, ERROR, FATAL, SUMMARY, MARKER … with free text.
struct NoteLine {
  std::string type;  // "INFO"
  ProgramName program;
  std::string text;
  std::vector<std::string> messages{};
};

using LogLine =
    std::variant<PidLine, PidDoneLine, StartLine, FinishLine, DiskLine, HostnameLine, StartupLine,
                 EstimateLine, SkippedLine, FailLine, RetryLine, DumpedLine, ChunkedLine, TapeStartLine,
                 PartLine, TapedLine, TaperFailLine, NoTapeLine, TapeSummaryLine, NoteLine>;

// The line with its newline, continuation lines after it. Newlines inside free text become blanks.
std::string format(const LogLine& line);

// One line of the log, without newline and without continuation lines. A line of a known kind whose fields do
// not parse is an error; an unknown kind is a NoteLine.
base::Result<LogLine> parse_log_line(std::string_view line);

// Whether a line says of some dump that it was made, failed, or went to a volume (DumpedLine, FailLine, and
// what the taper says, but for its notes). By its first words; the rest may be wrong.
bool is_about_images(std::string_view line);

}  // namespace headrace::compat
