// Tonight's plan: which disk is dumped at which level, why, how large it will be and in which order. A pure
// function of its inputs: no clock, no file, no client; the caller asks the clients for estimates in between
// (decide, then ask, then make_plan). Levels are chosen as Amanda 3.5.1 chooses them, but where
// doc/planning.md says and explains otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
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
  // Whether it is still there: its image stands on holding disk or on volumes not yet overwritten.
  bool exists = true;
  std::string label = {};  // of the volume it begins on; empty: on none
  // Runs until its volume is written again, 1 for tonight; 0: not for long.
  int64_t overwritten_in_runs = 0;
};

// A disk that the disklist names no more, with the last full that is still there.
struct FormerDisk {
  std::string disk;
  std::string full;   // its timestamp
  std::string label;  // of the volume it begins on; empty: on holding disk
};

// A dump of the past, whatever became of its image.
struct PastDump {
  int level = 0;
  uint64_t native_kib = 0;
};

// One disk with its history, as the caller knows it from disklist and info file.
struct PlanDle {
  std::string host, disk;

  config::Strategy strategy = config::Strategy::standard;
  bool ignore = false;
  bool dump_limited = false;  // its dump-limit lets no server start a dump
  bool skip_full = false;
  bool skip_incr = false;
  int64_t dumpcycle_days = 10;
  int64_t max_promote_days = 10000;
  // The next level is taken when it saves so much: of the full if the percentage is set, else in KiB; times
  // `bump_mult` for each level above the first; and after so many runs at a level.
  int64_t bump_size_kib = 10240;
  int64_t bump_percent = 0;
  double bump_mult = 1.5;
  int64_t bump_days = 2;
  int64_t priority = 1;
  std::vector<config::EstimateMethod> estimate = {config::EstimateMethod::client};
  config::Holding holding = config::Holding::automatic;
  bool splits = true;  // an image may continue on the next volume
  bool compresses = false;
  double comprate_full = 0.5, comprate_incr = 0.5;  // expected stored/native when nothing was measured

  int last_level = -1;                 // of the last successful dump; -1: never dumped
  int last_level_runs = 0;             // runs in succession at that level
  std::vector<PastDump> history = {};  // newest first
  std::map<int, DumpRecord> records = {};
  // By level: the time of the first dump that failed on its way after the one in `records`, or of the first
  // at all where there is none. Its client may have recorded it, and would make the next level on it.
  std::map<int, std::string> failed = {};
  // Measured, newest first, at most three count; empty: unknown. KiB/s and stored/native.
  std::vector<double> full_rates = {}, incr_rates = {}, full_ratios = {}, incr_ratios = {};
  // What the operator asked for with "admin force" and its kin.
  bool force_full = false, force_level_1 = false, force_bump = false, force_no_bump = false;
  bool skip_asked = false;  // "admin skip": not tonight

  // Of the newest dump that the catalog has and the disk's record does not know; empty: they agree. `records`
  // and the rest go by the catalog then.
  std::string unrecorded = {};
  // Of a disk without a past: what else its host had, and may have had this disk as.
  std::vector<FormerDisk> former = {};
};

// Whether tonight's incremental rests on the operator's word that a full was made outside of this
// configuration: a forced full of strategy incronly. What failed here before no longer matters then.
bool told_of_full_elsewhere(const PlanDle& dle);

// Why a disk is skipped, as the run log has it: the first two are Amanda's words and her parameters.
inline constexpr const char* kSkipFull = "skip-full";
inline constexpr const char* kSkipIncr = "skip-incr";
inline constexpr const char* kSkipAsked = "skip-asked";

// What the volumes and holding disks of one run can take. 0: unknown, not checked.
struct Capacity {
  int64_t volume_kib = 0;
  int64_t volumes = 1;  // runtapes
  int64_t blocksize_kib = 32;
  int64_t filemark_kib = 0;
  int64_t limit_kib = 0;  // maxdumpsize when set
  int64_t holding_kib = 0;
  int64_t tapecycle = 0;
  int64_t dumpcycle_days = 10;     // of the configuration
  int64_t runspercycle = 0;        // 0: as many as days; -1: as many as there were in the last dumpcycle
  int64_t runs_in_last_cycle = 0;  // as guessed by the volumes written then
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
  full_failed,     // a full failed after it, which its client may have recorded
  always_full,     // strategy noinc
  incremental,     // a full is not due
  base_lost,       // a lower incremental is gone: its level again
  base_misdated,   // it is dated after tonight: its level again
  base_failed,     // a dump of that level failed after it: its level again
  past_failed,     // a full failed and none may be made: on the level below, which was made before that
  on_failed,       // the same, and no such level is there: restoring it may lack something
  never_full,      // strategy nofull
  incr_only,       // strategy incronly
  level_1_forced,  // the operator asked for it
  bump_forced,
  no_bump_forced,
  bumped,               // the next level saves enough
  not_bumped,           // the next level would not save enough
  too_early,            // not long enough at this level to think of the next
  no_volume,            // a full is due, but there is no volume for it
  no_full_size,         // a full is due, and nobody knows how large it would be
  no_incremental_size,  // no full is due, but nobody knows the size of anything else
  promoted,             // a full made early, so that each night has its share of fulls
  promoted_from_hill,   // a full made early, since many are due on one day
  delayed,              // a full that does not fit tonight
};
struct Reason {
  Why why = Why::first_full;
  // full_due: days overdue (0: today); promoted: days ahead; not a full: days until one is due.
  int64_t days = 0;
  // base_lost, base_misdated, base_failed: the level made again; past_failed: the level; bumped, not_bumped:
  // the higher one.
  int level = 0;
  int64_t saves_kib = 0;   // bumped, not_bumped: what the next level saves
  int64_t wanted_kib = 0;  // the same: what it has to save
  int64_t runs = 0;        // too_early: how many more
  std::string sentence() const;
  bool operator==(const Reason&) const = default;
};

enum class Fate {
  dump,
  skip,      // left out tonight, as the configuration or the operator says; goes into the report
  fail,      // cannot be dumped; goes into the report
  left_out,  // never belongs to a run (ignore, strategy skip, dump-limit)
};

// What is known before any estimate.
struct Decision {
  Fate fate = Fate::dump;
  bool full = false;    // due or forced: a full if it can be estimated
  int last_level = -1;  // what an incremental goes on from, and for how many runs it has been there
  int last_runs = 0;
  int64_t due_in = 0;  // days until a full is due; 0 and less: it is
  Reason reason = {};  // of the full, or why there is none
  // An incremental is to be of this level whatever its size; -1: it is chosen by size.
  int fixed_level = -1;
  Reason fixed_reason = {};
  int level = 0;                     // skip, fail, left_out: as reported
  std::string word = {};             // skip: Amanda's word, left_out: the parameter, fail: the message
  std::vector<int> ask_levels = {};  // whose sizes decide; ascending
  // Those of them that the client is asked for; of the others history speaks.
  std::vector<int> client_levels = {};
  config::EstimateMethod method =
      config::EstimateMethod::client;  // by which first; server: without the client
};
// One for each of inputs.dles.
std::vector<Decision> decide(const PlanInputs& inputs);

// What the client answered for one disk.
struct Answer {
  std::map<int, int64_t> native_kib = {};  // by level; negative or missing: no value
  std::string refusal = {};  // it cannot dump this disk tonight, in its words: the disk fails in the plan
  std::string trouble = {};  // why values are missing, when it is not that bad; goes into the note
  // By level: what came by another method than the first, and why the one before it gave none.
  std::map<int, config::EstimateMethod> other_method = {};
  std::map<int, std::string> before = {};
};

enum class EstimateSource { client, calcsize, history, guess };

// One way to dump a disk tonight.
struct PlannedLevel {
  int level = 0;
  Reason reason = {};
  std::string base_timestamp = {};
  uint64_t native_kib = 0, stored_kib = 0;
  uint64_t kps = 0;  // expected KiB/s of stored bytes
  EstimateSource source = EstimateSource::client;
};

struct PlannedDump {
  size_t dle = 0;  // index into inputs.dles
  PlannedLevel as = {};
  int64_t priority = 0;  // the disk's, raised when a full is overdue
  // Of a full: the incremental to make instead when there is no volume; or why there is none.
  std::optional<PlannedLevel> degraded = {};
  std::string not_degraded = {};
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
  std::vector<PlannedDump> dumps;  // in the order to start: priority, then size, large first
  std::vector<NotDumped> skipped, failed, left_out;
  std::vector<PlanNote> notes;
  uint64_t total_stored_kib = 0;
  // What the fulls of one night would be were they spread evenly, and what they are tonight.
  uint64_t balanced_kib = 0, fulls_kib = 0;
};

// `answers` has one element for each of inputs.dles. A refusal counts for every disk, values only for what
// was asked.
Plan make_plan(const PlanInputs& inputs, std::span<const Answer> answers);

}  // namespace headrace::plan
