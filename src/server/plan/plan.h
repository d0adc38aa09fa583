// Tonight's plan: which disk is dumped at which level, why, how large it will be and in which order. A pure
// function of its inputs: no clock, no file, no client; the caller asks the clients for estimates in between
// (decide, then ask, then make_plan). Facts about Amanda's rules: amanda.conf(5), observed with Amanda 3.5.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "config/dumptype.h"

namespace headrace::plan {

// The newest dump of one level.
struct DumpRecord {
  std::string timestamp;  // 8 or 14 digits, local time
  uint64_t native_kib = 0;
  uint64_t stored_kib = 0;
  // Whether it can still be restored: its image stands on holding disk or on volumes not yet overwritten.
  bool exists = true;
};

// One disk with its history, as the caller knows it from disklist and info file.
struct PlanDle {
  std::string host, disk;

  config::Strategy strategy = config::Strategy::standard;
  bool ignore = false;
  bool skip_full = false;
  bool skip_incr = false;
  int64_t dumpcycle_days = 10;
  int64_t priority = 1;
  std::vector<config::EstimateMethod> estimate = {config::EstimateMethod::client};
  config::Holding holding = config::Holding::automatic;
  bool splits = true;  // an image may continue on the next volume
  bool compresses = false;
  double comprate_full = 0.5, comprate_incr = 0.5;  // expected stored/native when nothing was measured

  int last_level = -1;  // of the last successful dump; -1: never dumped
  std::map<int, DumpRecord> records = {};
  // Measured, newest first, at most three count; empty: unknown. KiB/s and stored/native.
  std::vector<double> full_rates = {}, incr_rates = {}, full_ratios = {}, incr_ratios = {};
  // What the operator asked for with "admin force" and its kin.
  bool force_full = false, force_level_1 = false, force_bump = false, force_no_bump = false;
};

// What the volumes and holding disks of one run can take. 0: unknown, not checked.
struct Capacity {
  int64_t volume_kib = 0;
  int64_t volumes = 1;  // runtapes
  int64_t blocksize_kib = 32;
  int64_t filemark_kib = 0;
  int64_t limit_kib = 0;  // maxdumpsize when set
  int64_t holding_kib = 0;
  int64_t tapecycle = 0;
  int64_t runspercycle = 0;
};

struct PlanInputs {
  std::string timestamp;  // of the run, 14 digits
  std::vector<PlanDle> dles;
  Capacity capacity;
};

// Why a disk is dumped at its level: data for views, with a sentence for people.
enum class Why {
  first_full,      // never dumped in full
  full_forced,     // the operator asked for it
  full_due,        // dumpcycle is over
  full_lost,       // the full that incrementals would need is gone
  always_full,     // strategy noinc
  incremental,     // a full is not due
  base_lost,       // a lower incremental is gone: its level again
  never_full,      // strategy nofull
  incr_only,       // strategy incronly
  level_1_forced,  // the operator asked for it
  bump_forced,
  no_bump_forced,
};
struct Reason {
  Why why = Why::first_full;
  int64_t days = 0;  // full_due: days overdue (0: today); incremental: days until a full is due
  int level = 0;     // base_lost: the level that is gone
  std::string sentence() const;
  bool operator==(const Reason&) const = default;
};

enum class Fate {
  dump,
  skip,      // left out tonight, as the configuration says; goes into the report
  fail,      // cannot be dumped; goes into the report
  left_out,  // never belongs to a run (ignore, strategy skip)
};

// What is known before any estimate.
struct Decision {
  Fate fate = Fate::dump;
  int level = 0;
  Reason reason = {};
  std::string word = {};             // skip: Amanda's word, left_out: the parameter, fail: the message
  std::vector<int> ask_levels = {};  // to be asked of the client by `method`; empty: nothing
  config::EstimateMethod method = config::EstimateMethod::client;
  std::string base_timestamp = {};  // of the dump an incremental builds on; empty for a full, or the epoch
};
// One for each of inputs.dles.
std::vector<Decision> decide(const PlanInputs& inputs);

// What the client answered for one disk.
struct Answer {
  std::map<int, int64_t> native_kib = {};  // by level; negative or missing: no value
  std::string refusal = {};  // it cannot dump this disk tonight, in its words: the disk fails in the plan
  std::string trouble = {};  // why values are missing, when it is not that bad; goes into the note
};

enum class EstimateSource { client, calcsize, history, guess };

struct PlannedDump {
  size_t dle = 0;  // index into inputs.dles
  int level = 0;
  Reason reason = {};
  std::string base_timestamp = {};
  uint64_t native_kib = 0, stored_kib = 0;
  uint64_t kps = 0;  // expected KiB/s of stored bytes
  EstimateSource source = EstimateSource::client;
  int64_t priority = 0;  // the disk's, raised when a full is overdue
};
struct NotDumped {
  size_t dle = 0;
  int level = 0;
  std::string reason;
};
struct PlanNote {
  bool warning = false;
  std::string text;
  bool operator==(const PlanNote&) const = default;
};

struct Plan {
  std::vector<PlannedDump> dumps;  // in the order to start: priority, then fulls, then size, large first
  std::vector<NotDumped> skipped, failed, left_out;
  std::vector<PlanNote> notes;
  uint64_t total_stored_kib = 0;
};

// `answers` has one element for each of inputs.dles. A refusal counts for every disk, values only for what
// was asked.
Plan make_plan(const PlanInputs& inputs, std::span<const Answer> answers);

// --- parts, for tests and other views ---------------------------------------------------------------------

// Days from one local date to another; 0 when either is no date.
int64_t days_between(const std::string& from_timestamp, const std::string& to_timestamp);
// Days until a full is due: negative when overdue; of a disk without a full, as Amanda counts, since 1970.
int64_t days_until_full(const PlanDle& dle, const std::string& timestamp);
// Amanda's weighted mean of up to three values, newest first; 0 without any.
double weighted_mean(std::span<const double> newest_first);

}  // namespace headrace::plan
