// The record of one disk's past dumps: sizes, rates and levels that the next plan is made from, in Amanda's
// `info` files. Curinfo is a value (pure); load_curinfo and save_curinfo touch
// `<infofile>/<host>/<disk>/info`. Format: "version: 0", "command: BITS", rates, "stats:", "last_level:" and
// "history:" lines, "//". Source: observed with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::compat {

// Wishes of the operator for the next run; bits of Curinfo::command.
inline constexpr uint32_t kForceFull = 1;
inline constexpr uint32_t kForceBump = 2;
inline constexpr uint32_t kForceNoBump = 4;
inline constexpr uint32_t kForceLevel1 = 8;

inline constexpr int kMaxDumpLevel = 399;
inline constexpr size_t kMaxHistory = 100;

// The latest dump of one level.
struct LevelStats {
  int level = 0;
  int64_t native_kib = 0;
  int64_t stored_kib = 0;
  int64_t seconds = 0;
  int64_t unixtime = 0;  // the dump's timestamp
  int64_t fileno = 0;    // with `label`: its first part; label empty: not on a volume yet
  std::string label;
  bool operator==(const LevelStats&) const = default;
};

struct PastDump {
  int level = 0;
  int64_t native_kib = 0;
  int64_t stored_kib = 0;
  int64_t unixtime = 0;
  int64_t seconds = 0;
  bool operator==(const PastDump&) const = default;
};

// What a finished dump adds.
struct RecordedDump {
  int level = 0;
  int64_t native_kib = 0;
  int64_t stored_kib = 0;
  double seconds = 0;
  int64_t unixtime = 0;     // of the dump's timestamp
  bool compressed = false;  // the disk is dumped with compression: its ratio is worth keeping
};

struct Curinfo {
  uint32_t command = 0;
  // Newest first, at most three; KiB/s of stored data, and stored/native.
  std::vector<double> full_rate, full_comp, incr_rate, incr_comp;
  std::vector<LevelStats> stats;  // ascending by level, one a level
  int last_level = -1;            // -1: never dumped
  int last_level_runs = 0;        // runs in succession at last_level
  std::vector<PastDump> history;  // newest first

  // `file` is only used in error messages ("FILE:LINE: …").
  static base::Result<Curinfo> parse(std::string_view text, std::string_view file);
  std::string text() const;

  // nullptr: no dump of that level since the last one below it.
  const LevelStats* stats_of(int level) const;
  // A dump is complete: forgets the stats of its level and above, then adds it. Rates of dumps shorter than a
  // second say nothing and are not kept.
  void record_dump(const RecordedDump& dump);
  // The disk's full was made outside of the configuration, at `unixtime` (skip-full): the last full gets that
  // date, sizes and volume stay those of the last one here, and a wish for a full is fulfilled.
  void record_full_elsewhere(int64_t unixtime);
  // The dump of that level now has its first part in file `fileno` of volume `label`. False: no such dump.
  bool record_taped(int level, int64_t unixtime, int64_t fileno, std::string_view label);

  // (3·v1 + 2·v2 + v3) / weights present; `missing` when there is none.
  static double weighted(const std::vector<double>& newest_first, double missing);
  bool operator==(const Curinfo&) const = default;
};

std::filesystem::path curinfo_path(const std::filesystem::path& infofile, std::string_view host,
                                   std::string_view disk);
// No file: an empty record.
base::Result<Curinfo> load_curinfo(const std::filesystem::path& infofile, std::string_view host,
                                   std::string_view disk);
// Whole or not at all; makes the directories.
base::Result<> save_curinfo(const std::filesystem::path& infofile, std::string_view host,
                            std::string_view disk, const Curinfo& info);

}  // namespace headrace::compat
