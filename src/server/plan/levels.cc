#include "server/plan/levels.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "server/plan/sizes.h"

namespace headrace::plan {
namespace {

using config::EstimateMethod;
using config::Strategy;

// Below this a percentage of the full says nothing.
constexpr uint64_t kLeastFullForPercentKib = 1024;

bool is_there(const PlanDle& dle, int level) {
  const auto* record = record_of(dle, level);
  return record != nullptr && record->exists;
}
// Whether what is on its client is what the server has.
bool restorable(const PlanDle& dle, int level) { return is_there(dle, level) && !dle.failed.contains(level); }
bool dated_ahead(const DumpRecord& record, const std::string& tonight) {
  constexpr int64_t kDaysAhead = 1;  // a clock set right, or another time zone
  return days_between(tonight, record.timestamp) > kDaysAhead;
}
// Whether the next level may build on it. Programs that go by dates would leave out what changed until the
// date of an incremental from the future; of fulls from the future another is due anyway.
bool can_be_base(const PlanDle& dle, int level, const std::string& tonight) {
  return restorable(dle, level) && (level == 0 || !dated_ahead(*record_of(dle, level), tonight));
}
// The lowest level from `from` on and below `level` that cannot be built on: what has to be made first.
std::optional<int> lost_below(const PlanDle& dle, int level, int from, const std::string& tonight) {
  for (int below = from; below < level; ++below)
    if (!can_be_base(dle, below, tonight)) return below;
  return std::nullopt;
}

// The same where a full failed and none may be made: the dump of that level was made before anything below it
// failed, on dumps that are all there, and no lower one was made since. Clients build a level on what they
// recorded of the next lower one, whatever became of those further down.
bool made_before_failures(const PlanDle& dle, int level, const std::string& tonight) {
  if (!can_be_base(dle, level, tonight)) return false;
  const std::string& made = record_of(dle, level)->timestamp;
  for (int below = 0; below < level; ++below) {
    const auto failed = dle.failed.find(below);
    if (failed != dle.failed.end() && failed->second <= made) return false;
    // A full may have been made elsewhere, or be none.
    if (below > 0 && !is_there(dle, below)) return false;
    const auto* record = record_of(dle, below);
    if (record != nullptr && record->timestamp > made) return false;
  }
  return true;
}
// `level` if it can be made so, else the lowest one that can.
std::optional<int> level_past_failures(const PlanDle& dle, int level, const std::string& tonight) {
  if (level > 1 && made_before_failures(dle, level - 1, tonight)) return level;
  for (const auto& [base, _] : dle.records)
    if (base > 0 && base < kMaxLevel && made_before_failures(dle, base, tonight)) return base + 1;
  return std::nullopt;
}
// Whether incrementals have to go round a full that failed, as their strategy makes no other. The operator's
// word is that there is one now.
bool goes_round_failed_full(const PlanDle& dle) {
  if (told_of_full_elsewhere(dle)) return false;
  return (dle.strategy == Strategy::nofull || dle.strategy == Strategy::incronly) && dle.failed.contains(0);
}

Decision not_dumped(Fate fate, int level, std::string word) {
  return {.fate = fate, .level = level, .word = std::move(word)};
}

bool takes_fulls(Strategy strategy) {
  return strategy != Strategy::nofull && strategy != Strategy::incronly && strategy != Strategy::skip;
}

// From where an incremental goes on: after a full, or a level 1 that tonight's volume overwrites, at level 1.
void set_base(const PlanDle& dle, Decision& decision) {
  decision.last_level = dle.last_level;
  decision.last_runs = dle.last_level_runs;
  const auto* first = record_of(dle, 1);
  if (dle.last_level > 1 && first != nullptr && first->overwritten_in_runs == 1) {
    decision.last_level = 0;
    decision.last_runs = 0;
  }
}

// Adds the incremental levels whose sizes decide, or fixes one.
void add_incrementals(const PlanDle& dle, Decision& decision, int lowest_base, const std::string& tonight) {
  const int last = std::max(decision.last_level, 0);
  const bool round = goes_round_failed_full(dle);
  const auto fix = [&](int level, Why why) {
    if (round) {
      const auto past = level_past_failures(dle, level, tonight);
      if (!past || *past != level) why = past ? Why::past_failed : Why::on_failed;
      level = past.value_or(1);
    } else if (const auto lost = lost_below(dle, level, lowest_base, tonight)) {
      level = *lost;
      why = restorable(dle, level)       ? Why::base_misdated
            : dle.failed.contains(level) ? Why::base_failed
                                         : Why::base_lost;
    }
    decision.fixed_level = level;
    decision.fixed_reason = {.why = why, .days = decision.due_in, .level = level};
    decision.ask_levels.push_back(level);
  };
  if (dle.force_level_1) return fix(1, Why::level_1_forced);
  if (dle.strategy == Strategy::nofull) {
    // Its usual level is 1 whatever was before, so the next is 2; a wish for a full leaves it where it is.
    if (dle.force_bump) return fix(2, Why::bump_forced);
    return fix(dle.force_full ? std::max(last, 1) : 1, Why::never_full);
  }
  if (dle.force_bump && !dle.skip_incr) return fix(std::min(last + 1, kMaxLevel), Why::bump_forced);
  if (last == 0) return fix(1, takes_fulls(dle.strategy) ? Why::incremental : Why::incr_only);
  if (dle.force_no_bump) return fix(last, Why::no_bump_forced);
  if (round ? level_past_failures(dle, last, tonight) != last
            : lost_below(dle, last, lowest_base, tonight).has_value())
    return fix(last, Why::base_lost);
  decision.ask_levels.push_back(last);
  const auto* record = record_of(dle, last);
  const auto* full = record_of(dle, 0);
  const uint64_t size = record != nullptr ? record->native_kib : 0;
  const bool worth_asking =
      size == 0 || std::cmp_greater(size, bump_threshold(dle, last, full != nullptr ? full->native_kib : 0));
  if (worth_asking && last < kMaxLevel && dle.last_level_runs >= dle.bump_days &&
      (round ? made_before_failures(dle, last, tonight) : can_be_base(dle, last, tonight)))
    decision.ask_levels.push_back(last + 1);
}

// Strategies that never make a full: what they build on was made elsewhere, or is the beginning of time.
Decision decide_without_full(const PlanDle& dle, const std::string& timestamp) {
  Decision decision;
  set_base(dle, decision);
  decision.due_in = 1;
  decision.reason = {.why = dle.strategy == Strategy::nofull ? Why::never_full : Why::incr_only, .days = 1};
  if (dle.skip_full && dle.force_level_1) return not_dumped(Fate::skip, 0, kSkipFull);
  const bool incronly = dle.strategy == Strategy::incronly;
  if (incronly && dle.last_level < 0 && !dle.force_full)
    return not_dumped(
        Fate::fail, 1,
        "strategy incronly needs a full dump made outside of this configuration: make one, then "
        "tell it with a forced full");
  if (dle.skip_incr && !dle.force_level_1)
    return not_dumped(Fate::skip, std::max(dle.last_level, 1), kSkipIncr);
  if (incronly && dle.force_full) decision.last_level = 0;
  add_incrementals(dle, decision, 1, timestamp);
  return decision;
}

Reason reason_of_full(const PlanDle& dle, int64_t due_in) {
  if (dle.force_full) return {.why = Why::full_forced};
  if (record_of(dle, 0) == nullptr) return {.why = Why::first_full};
  if (!is_there(dle, 0)) return {.why = Why::full_lost};
  if (!restorable(dle, 0)) return {.why = Why::full_failed};
  if (dle.force_no_bump && dle.last_level == 0) return {.why = Why::no_bump_forced};
  return {.why = Why::full_due, .days = -due_in};
}

Decision decide_standard(const PlanDle& dle, const std::string& timestamp, int64_t cycle_days) {
  Decision decision;
  set_base(dle, decision);
  decision.due_in = days_until_full(dle, timestamp);
  const bool base_is_there = restorable(dle, 0);
  if (!base_is_there && decision.due_in > 0) decision.due_in = 0;
  if (dle.force_full) decision.due_in = -cycle_days;
  // After a full, the same level again is another one.
  const bool full_again = dle.force_no_bump && dle.last_level == 0;
  decision.full = dle.force_full || full_again || decision.due_in <= 0;
  // A wish for level 1 counts as a full that is due: so does Amanda.
  if (dle.skip_full && (decision.full || dle.force_level_1)) return not_dumped(Fate::skip, 0, kSkipFull);
  const bool due = dle.force_full || decision.due_in <= 0;
  if (!due && dle.skip_incr && !dle.force_level_1)
    return not_dumped(Fate::skip, std::max(dle.last_level, 1), kSkipIncr);
  // The operator asks for a certain incremental: a full that is due waits for the next run.
  const bool bump = dle.force_bump && !dle.skip_incr;
  const bool wished = base_is_there && !dle.force_full && (dle.force_level_1 || bump);
  if (wished) {
    decision.full = false;
    // Its days overdue still make it urgent, but not after a wish for level 1: so does Amanda.
    if (dle.force_level_1) decision.due_in = std::max<int64_t>(decision.due_in, 0);
  }
  // Of a disk whose fulls are made elsewhere nobody has to know how large they are.
  if (decision.full || (!wished && !dle.skip_full)) decision.ask_levels.push_back(0);
  decision.reason = decision.full ? reason_of_full(dle, decision.due_in)
                                  : Reason{.why = Why::incremental, .days = decision.due_in};
  if (base_is_there && !dle.force_full && !full_again) add_incrementals(dle, decision, 0, timestamp);
  return decision;
}

Decision decide_fulls_only(const PlanDle& dle, int64_t cycle_days) {
  return {.full = true,
          .last_level = dle.last_level,
          .due_in = dle.force_full ? -cycle_days : 0,
          .reason = {.why = dle.force_full ? Why::full_forced : Why::always_full},
          .ask_levels = {0}};
}

Decision decide_by_strategy(const PlanDle& dle, const std::string& timestamp, int64_t cycle_days) {
  if (dle.ignore) return not_dumped(Fate::left_out, 0, "ignore");
  if (dle.dump_limited) return not_dumped(Fate::left_out, 0, "dump-limit");
  switch (dle.strategy) {
    case Strategy::skip:
      return not_dumped(Fate::left_out, 0, "strategy skip");
    case Strategy::noinc:
      return decide_fulls_only(dle, cycle_days);
    case Strategy::nofull:
    case Strategy::incronly:
      return decide_without_full(dle, timestamp);
    case Strategy::standard:
    case Strategy::hanoi:
      break;
  }
  return decide_standard(dle, timestamp, cycle_days);
}

}  // namespace

bool told_of_full_elsewhere(const PlanDle& dle) {
  return dle.strategy == Strategy::incronly && dle.force_full;
}

std::optional<std::chrono::sys_days> day_of(const std::string& timestamp) {
  if (timestamp.size() < 8) return std::nullopt;
  int number = 0;
  for (size_t i = 0; i < 8; ++i) {
    if (timestamp[i] < '0' || timestamp[i] > '9') return std::nullopt;
    number = number * 10 + (timestamp[i] - '0');
  }
  const std::chrono::year_month_day date(std::chrono::year(number / 10000),
                                         std::chrono::month(static_cast<unsigned>(number / 100 % 100)),
                                         std::chrono::day(static_cast<unsigned>(number % 100)));
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

// Seconds since 1970 by local time; a date alone begins at midnight.
static std::optional<int64_t> local_seconds(const std::string& timestamp) {
  const auto day = day_of(timestamp);
  if (!day) return std::nullopt;
  const int64_t seconds = std::chrono::sys_seconds(*day).time_since_epoch().count();
  if (timestamp.size() != 14) return seconds;
  int64_t clock[3] = {};
  for (size_t i = 8; i < 14; ++i) {
    if (timestamp[i] < '0' || timestamp[i] > '9') return std::nullopt;
    clock[(i - 8) / 2] = clock[(i - 8) / 2] * 10 + (timestamp[i] - '0');
  }
  return seconds + clock[0] * 3600 + clock[1] * 60 + clock[2];
}

int64_t days_between(const std::string& from_timestamp, const std::string& to_timestamp) {
  const auto from = local_seconds(from_timestamp);
  const auto to = local_seconds(to_timestamp);
  if (!from || !to) return 0;
  return std::lround(static_cast<double>(*to - *from) / 86400);
}

int64_t days_until_full(const PlanDle& dle, const std::string& timestamp) {
  const auto* full = record_of(dle, 0);
  if (full == nullptr) return -days_between("19700101", timestamp);
  // Were it counted as it stands, no full might be made for years.
  if (full_from_the_future(dle, timestamp)) return 0;
  return dle.dumpcycle_days - days_between(full->timestamp, timestamp);
}

bool full_from_the_future(const PlanDle& dle, const std::string& timestamp) {
  const auto* full = record_of(dle, 0);
  return full != nullptr && dated_ahead(*full, timestamp);
}

const DumpRecord* record_of(const PlanDle& dle, int level) {
  const auto found = dle.records.find(level);
  return found == dle.records.end() ? nullptr : &found->second;
}

int64_t bump_threshold(const PlanDle& dle, int level, uint64_t full_kib) {
  double threshold = static_cast<double>(dle.bump_size_kib);
  if (dle.bump_percent != 0 && full_kib > kLeastFullForPercentKib)
    threshold = static_cast<double>(full_kib) * static_cast<double>(dle.bump_percent) / 100.0;
  for (int above = 1; above < level; ++above) threshold *= dle.bump_mult;
  constexpr double kMost = 9e18;
  return static_cast<int64_t>(std::clamp(threshold, 0.0, kMost));
}

// Whose sizes the client is asked for, and how. Where the server comes first, for what history does not know.
static void choose_methods(const PlanDle& dle, Decision& decision) {
  const auto by_client = std::ranges::find_if(
      dle.estimate, [](EstimateMethod method) { return method != EstimateMethod::server; });
  const bool server_first = !dle.estimate.empty() && dle.estimate.front() == EstimateMethod::server;
  decision.method = by_client == dle.estimate.end()
                        ? (dle.estimate.empty() ? EstimateMethod::client : EstimateMethod::server)
                        : *by_client;
  if (decision.method == EstimateMethod::server) return;
  for (const int level : decision.ask_levels) {
    const auto known = [&] { return size_from_history(dle, decision, level, 0).source; };
    if (!server_first || known() == EstimateSource::guess) decision.client_levels.push_back(level);
  }
  if (decision.client_levels.empty()) decision.method = EstimateMethod::server;
}

Decision decide_one(const PlanDle& dle, const std::string& timestamp, int64_t cycle_days) {
  auto decision = decide_by_strategy(dle, timestamp, cycle_days);
  if (decision.fate != Fate::dump) return decision;
  if (dle.skip_asked)
    return not_dumped(Fate::skip, decision.full ? 0 : std::max(dle.last_level, 1), kSkipAsked);
  choose_methods(dle, decision);
  return decision;
}

std::optional<LevelChoice> choose_incremental(const PlanDle& dle, const Decision& decision,
                                              const std::map<int, uint64_t>& native_kib) {
  const auto size = [&](int level) -> std::optional<uint64_t> {
    const auto found = native_kib.find(level);
    if (found == native_kib.end()) return std::nullopt;
    return found->second;
  };
  const auto plain = [&](int level, Why why) {
    return LevelChoice{level, {.why = why, .days = decision.due_in, .level = level}};
  };
  if (decision.fixed_level >= 0) {
    if (!size(decision.fixed_level)) return std::nullopt;
    return LevelChoice{decision.fixed_level, decision.fixed_reason};
  }
  const int last = std::max(decision.last_level, 1);
  const auto here = size(last);
  const auto above = size(last + 1);
  const Why usual = takes_fulls(dle.strategy) ? Why::incremental : Why::incr_only;
  if (!here && !above) return std::nullopt;
  if (!here) return plain(last + 1, usual);
  const int64_t threshold = bump_threshold(dle, last, size(0).value_or(0));
  if (last >= kMaxLevel || std::cmp_less_equal(*here, threshold)) return plain(last, usual);
  if (decision.last_runs < dle.bump_days)
    return LevelChoice{last,
                       {.why = Why::too_early,
                        .days = decision.due_in,
                        .level = last + 1,
                        .runs = dle.bump_days - decision.last_runs}};
  if (!above) return plain(last, usual);
  const int64_t saves = static_cast<int64_t>(*here) - static_cast<int64_t>(*above);
  const bool bump = saves >= threshold;
  return LevelChoice{bump ? last + 1 : last,
                     {.why = bump ? Why::bumped : Why::not_bumped,
                      .days = decision.due_in,
                      .level = last + 1,
                      .saves_kib = saves,
                      .wanted_kib = threshold}};
}

}  // namespace headrace::plan
