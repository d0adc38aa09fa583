#include "server/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/quote.h"
#include "server/plan/balance.h"
#include "server/plan/levels.h"
#include "server/plan/sizes.h"

namespace headrace::plan {
namespace {

using config::EstimateMethod;
using config::Strategy;

// 2^60 bytes: what a client claims beyond it is nonsense, and must not spoil the sums.
constexpr int64_t kMaxEstimateKib = int64_t{1} << 50;

std::string name_of(const PlanDle& dle) { return dle.host + ":" + base::quote(dle.disk); }

class Planner {
 public:
  Planner(const PlanInputs& inputs, std::span<const Answer> answers) : inputs_(inputs), answers_(answers) {}

  Plan run() {
    note_cycle();
    const auto decisions = decide(inputs_);
    for (size_t i = 0; i < decisions.size(); ++i) place(i, decisions[i]);
    sort_by_start(candidates_);
    auto balanced = balance(inputs_, std::move(candidates_));
    for (auto& note : balanced.notes) plan_.notes.push_back(std::move(note));
    for (auto& dropped : balanced.dropped) plan_.failed.push_back(std::move(dropped));
    plan_.balanced_kib = balanced.balanced_kib;
    for (auto& candidate : balanced.dumps) {
      plan_.total_stored_kib += candidate.dump.as.stored_kib;
      if (candidate.dump.as.level == 0) plan_.fulls_kib += candidate.dump.as.stored_kib;
      plan_.dumps.push_back(std::move(candidate.dump));
    }
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
        note_skip(dle, decision.word);
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
      plan_.failed.push_back({index, likely_level(decision), answer.refusal});
      return;
    }
    candidates_.push_back(candidate(index, decision, answer));
  }

  void note_skip(const PlanDle& dle, const std::string& word) {
    if (word == kSkipAsked)
      note(false,
           fmt::format("{}: skipped, as asked for with \"headrace admin skip\"; the next run plans it as "
                       "usual.",
                       name_of(dle)));
    if (word == kSkipFull)
      note(false,
           fmt::format("{}: skipped, as a full is to be made and skip-full leaves that to you; it counts "
                       "as made tonight.",
                       name_of(dle)));
    const bool wished = dle.force_full || dle.force_level_1 || dle.force_bump || dle.force_no_bump;
    if (wished && word != kSkipAsked)
      note(true, fmt::format("{}: the level asked for is not made, as {} forbids it.", name_of(dle), word));
  }

  // What it would have been but for its size.
  static int likely_level(const Decision& decision) {
    if (decision.full) return 0;
    return decision.fixed_level >= 0 ? decision.fixed_level : std::max(decision.last_level, 1);
  }

  void note_decision(const PlanDle& dle, const Decision& decision) {
    if (dle.strategy == Strategy::hanoi)
      note(true, fmt::format("{}: strategy hanoi is treated as standard.", name_of(dle)));
    if (dle.last_level < 0 && dle.records.empty()) {
      note(false, fmt::format("Adding new disk {}.", name_of(dle)));
      note_former(dle);
    }
    if (!dle.unrecorded.empty())
      note(true,
           fmt::format(
               "{}: its record does not know the dump of {} that the catalog has; going by the catalog.",
               name_of(dle), dle.unrecorded));
    if (decision.reason.why == Why::full_forced && dle.last_level >= 0)
      note(false, fmt::format("Forcing full dump of {} as directed.", name_of(dle)));
    if (dle.force_full && dle.strategy == Strategy::nofull)
      note(true, fmt::format("{}: a forced full is not made with strategy nofull.", name_of(dle)));
    for (const auto& reason : {decision.reason, decision.fixed_reason}) {
      if (reason.why == Why::full_lost || reason.why == Why::full_failed || reason.why == Why::base_lost ||
          reason.why == Why::base_misdated || reason.why == Why::base_failed ||
          reason.why == Why::past_failed)
        note(true, fmt::format("{}: {}.", name_of(dle), reason.sentence()));
    }
    if (decision.fixed_reason.why == Why::on_failed) note_on_failed(dle);
    if (decision.reason.why == Why::full_due && full_from_the_future(dle, inputs_.timestamp))
      note(true,
           fmt::format("{}: its last full is dated {}, after tonight: the clock was wrong then, or is now. "
                       "As its age is not known, a full is due.",
                       name_of(dle), record_of(dle, 0)->timestamp));
    const bool wished = dle.force_level_1 || dle.force_bump;
    if (wished && decision.full)
      note(true, fmt::format("{}: the level asked for needs a full dump first; making that.", name_of(dle)));
    note_overwriting(dle);
  }

  void note_on_failed(const PlanDle& dle) {
    const auto* full = record_of(dle, 0);
    const std::string& failed = dle.failed.at(0);
    note(
        true,
        fmt::format(
            "{}: the full of {} failed, and its client may have recorded it; strategy {} makes no other, and "
            "no incremental made before it is left to go on from. A restore of tonight's level 1 may lack "
            "what changed {} and not since. {}",
            name_of(dle), failed, dle.strategy == Strategy::nofull ? "nofull" : "incronly",
            full == nullptr ? fmt::format("until {}", failed)
                            : fmt::format("between {}, the last good full, and {}", full->timestamp, failed),
            dle.strategy == Strategy::nofull
                ? "To mend it, give the disk strategy standard for one run: that makes a full, as "
                  "\"headrace admin force\" asks for."
                : "To mend it, make a full outside of this configuration and tell it with \"headrace admin "
                  "force\", or give the disk strategy standard for one run."));
  }

  // It may be an old disk under a new name: what became of the old name's dumps, and how to keep the name.
  void note_former(const PlanDle& dle) {
    for (const auto& former : dle.former)
      note(false,
           fmt::format(
               "{}: if this is {}, which the disklist names no more: its full of {} stays {} and is restored "
               "by the "
               "old name. To go on with it, give the disklist the old name and the new path as its device.",
               name_of(dle), dle.host + ":" + base::quote(former.disk), former.full,
               former.label.empty() ? "on holding disk until it is flushed"
                                    : "on " + former.label + " until that volume is written again"));
  }

  // Warned of while something can still be done about it.
  void note_overwriting(const PlanDle& dle) {
    constexpr int64_t kRunsAhead = 5;
    for (const int level : {0, 1}) {
      const auto* record = record_of(dle, level);
      if (record == nullptr || !record->exists || record->overwritten_in_runs <= 0) continue;
      const int64_t runs = record->overwritten_in_runs;
      if (runs > kRunsAhead) continue;
      note(true, fmt::format("Last {} dump of {} is on a volume that is overwritten in {}.",
                             level == 0 ? "full" : "level 1", name_of(dle),
                             runs == 1 ? "this run" : fmt::format("{} runs", runs)));
    }
  }

  static bool names_server(const PlanDle& dle) {
    return std::ranges::find(dle.estimate, EstimateMethod::server) != dle.estimate.end();
  }

  // What came from the client, by level.
  std::map<int, Size> sizes_of_client(const PlanDle& dle, const Decision& decision, const Answer& answer) {
    std::map<int, Size> sizes;
    std::map<std::string, std::string> later;  // why the method before gave none: levels and sizes
    for (const int level : decision.client_levels) {
      const auto value = answer.native_kib.find(level);
      if (value == answer.native_kib.end() || value->second < 0) continue;
      if (value->second > kMaxEstimateKib) {
        note(true, fmt::format("{}: the client expects {} KiB at level {}, more than any disk holds; that "
                               "counts as no estimate.",
                               name_of(dle), value->second, level));
        continue;
      }
      const auto other = answer.other_method.find(level);
      const auto method = other == answer.other_method.end() ? decision.method : other->second;
      const bool calcsize = method == EstimateMethod::calcsize;
      sizes[level] = {static_cast<uint64_t>(value->second),
                      calcsize ? EstimateSource::calcsize : EstimateSource::client};
      if (const auto before = answer.before.find(level); before != answer.before.end())
        later[before->second] += fmt::format("; by estimate {} level {} has {} KiB",
                                             calcsize ? "calcsize" : "client", level, value->second);
    }
    for (const auto& [why, levels] : later) note(false, fmt::format("{}: {}{}.", name_of(dle), why, levels));
    return sizes;
  }

  // Sizes of the levels that decide. Where `estimate` names the server as well, history stands in for single
  // levels that the client left out. A client that says nothing is no reason to lose a night: then history
  // speaks for all of them.
  std::map<int, Size> sizes_of(size_t index, const Decision& decision, const Answer& answer) {
    const auto& dle = inputs_.dles[index];
    auto sizes = sizes_of_client(dle, decision, answer);
    const bool asked = !decision.client_levels.empty();
    const bool silent = asked && sizes.empty();
    for (const int level : decision.ask_levels) {
      if (sizes.contains(level) || (asked && !silent && !names_server(dle))) continue;
      const auto size = size_from_history(dle, decision, level, inputs_.capacity.volume_kib);
      sizes[level] = size;
      const bool missing = std::ranges::find(decision.client_levels, level) != decision.client_levels.end();
      if (missing && !silent)
        note(false, fmt::format("{}: {}; expecting {}.", name_of(dle),
                                answer.trouble.empty()
                                    ? fmt::format("the client gave no estimate of level {}", level)
                                    : fmt::format("level {}: {}", level, answer.trouble),
                                expected_text(size)));
    }
    if (asked && !silent) return sizes;
    const auto likely = sizes.find(likely_level(decision));
    const auto& first = likely != sizes.end() ? likely->second : sizes.begin()->second;
    if (silent || first.source == EstimateSource::guess)
      note(silent, fmt::format("{}: {}; expecting {}.", name_of(dle),
                               !silent                  ? "nothing is known of its size"
                               : answer.trouble.empty() ? "the client gave no estimate"
                                                        : answer.trouble,
                               expected_text(first)));
    return sizes;
  }
  static std::string expected_text(const Size& size) {
    return fmt::format("{} KiB {}", size.native_kib,
                       size.source == EstimateSource::history ? "as last time" : "as a guess");
  }

  Candidate candidate(size_t index, const Decision& decision, const Answer& answer) {
    const auto& dle = inputs_.dles[index];
    const auto sizes = sizes_of(index, decision, answer);
    std::map<int, uint64_t> native_kib;
    for (const auto& [level, size] : sizes) native_kib[level] = size.native_kib;

    Candidate made;
    made.dump.dle = index;
    made.dump.priority = dle.priority + std::max<int64_t>(-decision.due_in, 0);
    made.due_in = decision.due_in;
    made.forced = decision.reason.why == Why::full_forced;
    if (made.forced && decision.due_in >= 0) ++made.dump.priority;
    made.takes_fulls =
        dle.strategy != Strategy::nofull && dle.strategy != Strategy::incronly && !dle.skip_full;
    made.only_fulls = dle.strategy == Strategy::noinc;
    if (const auto* record = record_of(dle, 0)) {
      made.last_full = record->timestamp;
      made.full_kib = record->stored_kib;
    }
    std::optional<PlannedLevel> full;
    if (const auto size = sizes.find(0); size != sizes.end()) {
      full = planned_level(dle, 0, size->second, decision.reason);
      made.full_kib = full->stored_kib;
    }
    std::optional<PlannedLevel> incremental;
    if (const auto choice = choose_incremental(dle, decision, native_kib))
      incremental = planned_level(dle, choice->level, sizes.at(choice->level), choice->reason);

    const bool full_has_size = full && (full->native_kib > 0 || !incremental);
    if ((decision.full && full_has_size) || !incremental) {
      if (!decision.full) full->reason = {.why = Why::no_incremental_size, .days = decision.due_in};
      made.dump.as = std::move(*full);
      why_not_degraded(dle, decision, made.dump, std::move(incremental));
    } else {
      if (decision.full) incremental->reason = {.why = Why::no_full_size, .days = decision.due_in};
      made.dump.as = std::move(*incremental);
      if (full && full->native_kib > 0) made.full = std::move(full);
    }
    return made;
  }

  static void why_not_degraded(const PlanDle& dle, const Decision& decision, PlannedDump& dump,
                               std::optional<PlannedLevel> incremental) {
    if (dle.force_full) {
      dump.not_degraded = "forced full";
    } else if (dle.strategy == Strategy::noinc) {
      dump.not_degraded = "strategy noinc";
    } else if (decision.reason.why == Why::first_full) {
      dump.not_degraded = "new disk";
    } else if (decision.reason.why == Why::full_lost) {
      dump.not_degraded = "its last full is gone";
    } else if (decision.reason.why == Why::full_failed) {
      dump.not_degraded = "a full failed after its last one";
    } else if (dle.skip_incr) {
      dump.not_degraded = "skip-incr";
    } else if (!incremental) {
      dump.not_degraded = "no estimate of an incremental";
    } else {
      incremental->reason = {.why = Why::no_volume, .days = decision.due_in};
      dump.degraded = std::move(incremental);
    }
  }

  // What still does not fit is not dropped: the run finds out, and what does not stays on holding disk.
  void check_capacity() {
    const auto& cap = inputs_.capacity;
    for (const auto& dump : plan_.dumps) {
      const auto& dle = inputs_.dles[dump.dle];
      if (dle.holding == config::Holding::required && std::cmp_greater(dump.as.stored_kib, cap.holding_kib))
        note(true,
             fmt::format("{} level {}: {} KiB expected, but holding disks, which it requires, have {} KiB.",
                         name_of(dle), dump.as.level, dump.as.stored_kib, cap.holding_kib));
    }
    const uint64_t total = written_kib(cap, plan_.dumps.size(), plan_.total_stored_kib);
    const int64_t room = capacity_of_run(cap);
    if (room > 0 && std::cmp_greater(total, room))
      note(true,
           fmt::format("{} KiB are expected tonight, but {} {} KiB: not all of it will reach a volume.",
                       total, cap.limit_kib > 0 ? "maxdumpsize is" : "the volumes of one run take", room));
  }

  const PlanInputs& inputs_;
  std::span<const Answer> answers_;
  std::vector<Candidate> candidates_;
  Plan plan_;
};

}  // namespace

std::vector<Decision> decide(const PlanInputs& inputs) {
  std::vector<Decision> decisions;
  decisions.reserve(inputs.dles.size());
  for (const auto& dle : inputs.dles)
    decisions.push_back(decide_one(dle, inputs.timestamp, inputs.capacity.dumpcycle_days));
  return decisions;
}

Plan make_plan(const PlanInputs& inputs, std::span<const Answer> answers) {
  HEADRACE_CHECK(answers.size() == inputs.dles.size());
  return Planner(inputs, answers).run();
}

}  // namespace headrace::plan
