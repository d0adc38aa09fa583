#include "server/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/quote.h"

namespace headrace::plan {
namespace {

using config::EstimateMethod;
using config::Strategy;

constexpr int kMaxLevel = 399;
// When nobody knows better: Amanda's figures.
constexpr uint64_t kGuessFullKib = 1'000'000;
constexpr uint64_t kGuessIncrKib = 100'000;
constexpr uint64_t kGuessKps = 1024;
constexpr double kMaxRatio = 1.1;
// What a client claims beyond this is nonsense, and must not spoil the sums.
constexpr int64_t kMaxEstimateKib = int64_t{1} << 50;

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

const DumpRecord* record_of(const PlanDle& dle, int level) {
  const auto found = dle.records.find(level);
  return found == dle.records.end() ? nullptr : &found->second;
}
bool restorable(const PlanDle& dle, int level) {
  const auto* record = record_of(dle, level);
  return record != nullptr && record->exists;
}
// The lowest level below `level` that could not be restored: what has to be made again first.
std::optional<int> lost_below(const PlanDle& dle, int level, int from) {
  for (int below = from; below < level; ++below)
    if (!restorable(dle, below)) return below;
  return std::nullopt;
}

std::string name_of(const PlanDle& dle) { return dle.host + ":" + base::quote(dle.disk); }
std::string days_text(int64_t days) { return fmt::format("{} {}", days, days == 1 ? "day" : "days"); }

Decision dump_at(int level, Why why, int64_t days = 0, int lost = 0) {
  return {.level = level, .reason = {why, days, lost}};
}
Decision not_dumped(Fate fate, int level, std::string word) {
  return {.fate = fate, .level = level, .word = std::move(word)};
}

// The incremental level by the operator's wish and what can still be restored.
Decision choose_incremental(const PlanDle& dle, Why why, int64_t days, int lowest_base) {
  int level = std::max(dle.last_level, 1);
  if (dle.force_level_1) {
    level = 1;
    why = Why::level_1_forced;
  } else if (dle.force_bump && dle.last_level >= 0) {
    level = std::min(dle.last_level + 1, kMaxLevel);
    why = Why::bump_forced;
  } else if (dle.force_no_bump && dle.last_level >= 1) {
    why = Why::no_bump_forced;
  }
  if (const auto lost = lost_below(dle, level, lowest_base))
    return dump_at(*lost, Why::base_lost, days, *lost);
  return dump_at(level, why, days);
}

// Strategies that never make a full: what they build on was made elsewhere, or is the beginning of time.
Decision decide_without_full(const PlanDle& dle) {
  if (dle.skip_incr) return not_dumped(Fate::skip, std::max(dle.last_level, 1), "skip-incr");
  if (dle.strategy == Strategy::nofull) return dump_at(1, Why::never_full);
  if (dle.force_full) return dump_at(1, Why::incr_only);
  if (dle.last_level < 0)
    return not_dumped(
        Fate::fail, 1,
        "strategy incronly needs a full dump made outside of this configuration: make one, then "
        "tell it with a forced full");
  return choose_incremental(dle, Why::incr_only, 0, 1);
}

Decision decide_standard(const PlanDle& dle, const std::string& timestamp) {
  const int64_t due_in = days_until_full(dle, timestamp);
  const bool never = record_of(dle, 0) == nullptr;
  const bool lost = !never && !restorable(dle, 0);
  if (dle.force_full || never || lost || due_in <= 0) {
    if (dle.skip_full && !dle.force_full) return not_dumped(Fate::skip, 0, "skip-full");
    if (dle.force_full) return dump_at(0, Why::full_forced);
    if (never) return dump_at(0, Why::first_full);
    if (lost) return dump_at(0, Why::full_lost);
    return dump_at(0, Why::full_due, -due_in);
  }
  if (dle.skip_incr) return not_dumped(Fate::skip, std::max(dle.last_level, 1), "skip-incr");
  return choose_incremental(dle, Why::incremental, due_in, 0);
}

Decision decide_one(const PlanDle& dle, const std::string& timestamp) {
  if (dle.ignore) return not_dumped(Fate::left_out, 0, "ignore");
  switch (dle.strategy) {
    case Strategy::skip:
      return not_dumped(Fate::left_out, 0, "strategy skip");
    case Strategy::noinc:
      return dump_at(0, dle.force_full ? Why::full_forced : Why::always_full);
    case Strategy::nofull:
    case Strategy::incronly:
      return decide_without_full(dle);
    case Strategy::standard:
    case Strategy::hanoi:
      break;
  }
  return decide_standard(dle, timestamp);
}

struct Estimate {
  uint64_t native_kib = 0;
  EstimateSource source = EstimateSource::guess;
};

// From the last dump of that level; an incremental without one is taken for a tenth of the full.
Estimate from_history(const PlanDle& dle, int level, const Capacity& capacity) {
  if (const auto* record = record_of(dle, level); record != nullptr && record->native_kib > 0)
    return {record->native_kib, EstimateSource::history};
  const auto* full = record_of(dle, 0);
  if (level > 0 && full != nullptr && full->native_kib > 0)
    return {std::max<uint64_t>(full->native_kib / 10, 1), EstimateSource::guess};
  uint64_t guess = level == 0 ? kGuessFullKib : kGuessIncrKib;
  if (capacity.volume_kib > 1) guess = std::min(guess, static_cast<uint64_t>(capacity.volume_kib) / 2);
  return {guess, EstimateSource::guess};
}

double ratio_of(const PlanDle& dle, int level) {
  if (!dle.compresses) return 1;
  const auto& measured = level == 0 ? dle.full_ratios : dle.incr_ratios;
  const double mean = weighted_mean(measured);
  const double ratio = mean > 0 ? mean : (level == 0 ? dle.comprate_full : dle.comprate_incr);
  return std::isfinite(ratio) && ratio > 0 ? std::min(ratio, kMaxRatio) : 1;
}

class Planner {
 public:
  Planner(const PlanInputs& inputs, std::span<const Answer> answers) : inputs_(inputs), answers_(answers) {}

  Plan run() {
    note_cycle();
    const auto decisions = decide(inputs_);
    for (size_t i = 0; i < decisions.size(); ++i) place(i, decisions[i]);
    std::ranges::sort(plan_.dumps, [](const PlannedDump& a, const PlannedDump& b) {
      return std::tuple(-a.priority, a.level != 0, b.stored_kib, a.dle) <
             std::tuple(-b.priority, b.level != 0, a.stored_kib, b.dle);
    });
    check_capacity();
    return std::move(plan_);
  }

 private:
  void note(bool warning, std::string text) { plan_.notes.push_back({warning, std::move(text)}); }

  void note_cycle() {
    const auto& cap = inputs_.capacity;
    if (cap.tapecycle > 0 && cap.tapecycle <= cap.runspercycle)
      note(true,
           fmt::format(
               "tapecycle ({}) <= runspercycle ({}): volumes are overwritten before a dump cycle is over",
               cap.tapecycle, cap.runspercycle));
  }

  void place(size_t index, const Decision& decision) {
    const auto& dle = inputs_.dles[index];
    switch (decision.fate) {
      case Fate::left_out:
        plan_.left_out.push_back({index, decision.level, decision.word});
        return;
      case Fate::skip:
        plan_.skipped.push_back({index, decision.level, decision.word});
        return;
      case Fate::fail:
        plan_.failed.push_back({index, decision.level, decision.word});
        return;
      case Fate::dump:
        break;
    }
    note_decision(dle, decision);
    const auto& answer = answers_[index];
    if (!answer.refusal.empty()) {
      plan_.failed.push_back({index, decision.level, answer.refusal});
      return;
    }
    schedule(index, decision, answer);
  }

  void note_decision(const PlanDle& dle, const Decision& decision) {
    if (dle.strategy == Strategy::hanoi)
      note(true, fmt::format("{}: strategy hanoi is treated as standard.", name_of(dle)));
    if (dle.last_level < 0 && dle.records.empty())
      note(false, fmt::format("Adding new disk {}.", name_of(dle)));
    if (decision.reason.why == Why::full_forced && dle.last_level >= 0)
      note(false, fmt::format("Forcing full dump of {} as directed.", name_of(dle)));
    if (dle.force_full && dle.strategy == Strategy::nofull)
      note(true, fmt::format("{}: a forced full is not made with strategy nofull.", name_of(dle)));
    if (decision.reason.why == Why::full_lost || decision.reason.why == Why::base_lost)
      note(true, fmt::format("{}: {}.", name_of(dle), decision.reason.sentence()));
    const bool wished = dle.force_level_1 || dle.force_bump;
    if (wished && decision.level == 0)
      note(true, fmt::format("{}: the level asked for needs a full dump first; making that.", name_of(dle)));
  }

  void schedule(size_t index, const Decision& decision, const Answer& answer) {
    const auto& dle = inputs_.dles[index];
    Estimate estimate;
    const auto value = answer.native_kib.find(decision.level);
    const bool asked = !decision.ask_levels.empty();
    if (asked && value != answer.native_kib.end() && value->second >= 0) {
      estimate = {
          static_cast<uint64_t>(std::min(value->second, kMaxEstimateKib)),
          decision.method == EstimateMethod::calcsize ? EstimateSource::calcsize : EstimateSource::client};
    } else {
      estimate = from_history(dle, decision.level, inputs_.capacity);
      if (asked || estimate.source == EstimateSource::guess)
        note(asked, fmt::format("{}: {}; expecting {} KiB {}.", name_of(dle),
                                !asked                   ? "nothing is known of its size"
                                : answer.trouble.empty() ? "the client gave no estimate"
                                                         : answer.trouble,
                                estimate.native_kib,
                                estimate.source == EstimateSource::history ? "as last time" : "as a guess"));
    }
    const double stored = std::ceil(static_cast<double>(estimate.native_kib) * ratio_of(dle, decision.level));
    const double rate = weighted_mean(decision.level == 0 ? dle.full_rates : dle.incr_rates);
    const int64_t overdue = decision.reason.why == Why::full_due ? decision.reason.days : 0;
    plan_.dumps.push_back({.dle = index,
                           .level = decision.level,
                           .reason = decision.reason,
                           .base_timestamp = decision.base_timestamp,
                           .native_kib = estimate.native_kib,
                           .stored_kib = std::max<uint64_t>(static_cast<uint64_t>(stored), 1),
                           .kps = rate >= 1 ? static_cast<uint64_t>(rate) : kGuessKps,
                           .source = estimate.source,
                           .priority = dle.priority + overdue + (dle.force_full ? 1 : 0)});
    plan_.total_stored_kib += plan_.dumps.back().stored_kib;
  }

  // Nothing is dropped for want of room: the run finds out what fits, and what does not stays on holding
  // disk.
  void check_capacity() {
    const auto& cap = inputs_.capacity;
    for (const auto& dump : plan_.dumps) {
      const auto& dle = inputs_.dles[dump.dle];
      const auto size = static_cast<double>(dump.stored_kib);
      const auto reach = static_cast<double>(cap.volume_kib) *
                         static_cast<double>(dle.splits ? std::max<int64_t>(cap.volumes, 1) : 1);
      if (cap.volume_kib > 0 && size > reach)
        note(true,
             fmt::format("{} level {}: {} KiB expected, but {} can take {:.0f} KiB{}.", name_of(dle),
                         dump.level, dump.stored_kib, dle.splits ? "the volumes of one run" : "one volume",
                         reach, dle.splits ? "" : " (the dump may not be split)"));
      if (dle.holding == config::Holding::required && size > static_cast<double>(cap.holding_kib))
        note(true,
             fmt::format("{} level {}: {} KiB expected, but holding disks, which it requires, have {} KiB.",
                         name_of(dle), dump.level, dump.stored_kib, cap.holding_kib));
    }
    const double per_dump = static_cast<double>(cap.blocksize_kib + cap.filemark_kib);
    const double total = 2 * per_dump + per_dump * static_cast<double>(plan_.dumps.size()) +
                         static_cast<double>(plan_.total_stored_kib);
    const double room = cap.limit_kib > 0 ? static_cast<double>(cap.limit_kib)
                                          : static_cast<double>(cap.volume_kib) *
                                                static_cast<double>(std::max<int64_t>(cap.volumes, 1));
    if (room > 0 && total > room)
      note(true, fmt::format(
                     "{:.0f} KiB are expected tonight, but {} {:.0f} KiB: not all of it will reach a volume.",
                     total, cap.limit_kib > 0 ? "maxdumpsize is" : "the volumes of one run take", room));
  }

  const PlanInputs& inputs_;
  std::span<const Answer> answers_;
  Plan plan_;
};

}  // namespace

std::string Reason::sentence() const {
  switch (why) {
    case Why::first_full:
      return "it was never dumped in full";
    case Why::full_forced:
      return "a full was asked for";
    case Why::full_due:
      return days == 0 ? "a full is due today" : fmt::format("a full is overdue by {}", days_text(days));
    case Why::full_lost:
      return "the last full dump is gone (its volume was overwritten or removed)";
    case Why::always_full:
      return "strategy noinc makes fulls only";
    case Why::incremental:
      return fmt::format("a full is not due for {}", days_text(days));
    case Why::base_lost:
      return fmt::format(
          "the last level {} is gone (its volume was overwritten or removed), so it is made again", level);
    case Why::never_full:
      return "strategy nofull makes level 1 only";
    case Why::incr_only:
      return "strategy incronly makes incrementals only";
    case Why::level_1_forced:
      return "level 1 was asked for";
    case Why::bump_forced:
      return "the next level was asked for";
    case Why::no_bump_forced:
      return "the same level was asked for";
  }
  return {};
}

int64_t days_between(const std::string& from_timestamp, const std::string& to_timestamp) {
  const auto from = day_of(from_timestamp);
  const auto to = day_of(to_timestamp);
  return from && to ? (*to - *from).count() : 0;
}

int64_t days_until_full(const PlanDle& dle, const std::string& timestamp) {
  const auto* full = record_of(dle, 0);
  return dle.dumpcycle_days - days_between(full != nullptr ? full->timestamp : "19700101", timestamp);
}

double weighted_mean(std::span<const double> newest_first) {
  double sum = 0;
  double weights = 0;
  for (size_t i = 0; i < std::min<size_t>(newest_first.size(), 3); ++i) {
    const auto weight = static_cast<double>(3 - i);
    sum += newest_first[i] * weight;
    weights += weight;
  }
  return weights > 0 ? sum / weights : 0;
}

std::vector<Decision> decide(const PlanInputs& inputs) {
  std::vector<Decision> decisions;
  decisions.reserve(inputs.dles.size());
  for (const auto& dle : inputs.dles) {
    auto decision = decide_one(dle, inputs.timestamp);
    if (decision.fate == Fate::dump) {
      decision.method = dle.estimate.empty() ? EstimateMethod::client : dle.estimate.front();
      if (decision.method != EstimateMethod::server) decision.ask_levels = {decision.level};
      if (const auto* base = decision.level > 0 ? record_of(dle, decision.level - 1) : nullptr)
        decision.base_timestamp = base->timestamp;
    }
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

Plan make_plan(const PlanInputs& inputs, std::span<const Answer> answers) {
  HEADRACE_CHECK(answers.size() == inputs.dles.size());
  return Planner(inputs, answers).run();
}

}  // namespace headrace::plan
