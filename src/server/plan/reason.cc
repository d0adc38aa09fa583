#include <fmt/format.h>

#include "base/human_kib.h"
#include "server/plan/plan.h"

namespace headrace::plan {

static std::string days_text(int64_t days) { return fmt::format("{} {}", days, days == 1 ? "day" : "days"); }
// What a level saves can be less than nothing.
static std::string size_text(int64_t kib) {
  return kib < 0 ? "-" + base::human_kib(0 - static_cast<uint64_t>(kib))
                 : base::human_kib(static_cast<uint64_t>(kib));
}

std::string Reason::sentence() const {
  switch (why) {
    case Why::first_full:
      return "it was never dumped in full";
    case Why::full_forced:
      return "a full was asked for";
    case Why::full_due:
      return days == 0 ? "a full is due today (dumpcycle)"
                       : fmt::format("a full is overdue by {} (dumpcycle)", days_text(days));
    case Why::full_lost:
      return "the last full dump is gone (its volume was overwritten or removed)";
    case Why::full_failed:
      return "a full failed after the last good one, and its client may have recorded it";
    case Why::always_full:
      return "strategy noinc makes fulls only";
    case Why::incremental:
      return fmt::format("a full is not due for {} (dumpcycle)", days_text(days));
    case Why::base_lost:
      return fmt::format(
          "the last level {} is gone (its volume was overwritten or removed), so it is made again", level);
    case Why::base_misdated:
      return fmt::format("the last level {} is dated after tonight (a clock was wrong), so it is made again",
                         level);
    case Why::base_failed:
      return fmt::format(
          "a level {} failed after the last good one, and its client may have recorded it, so it is made "
          "again",
          level);
    case Why::past_failed:
      return fmt::format(
          "a full failed, which its client may have recorded, and the strategy makes no other: level {} goes "
          "on from a level {} made before that",
          level, level - 1);
    case Why::on_failed:
      return "a full failed, which its client may have recorded, and the strategy makes no other: restoring "
             "this dump may lack what changed before that";
    case Why::never_full:
      return level > 1 ? fmt::format("strategy nofull makes no full, so level {} is made again", level)
                       : "strategy nofull makes level 1 only";
    case Why::incr_only:
      return "strategy incronly makes incrementals only";
    case Why::level_1_forced:
      return "level 1 was asked for";
    case Why::bump_forced:
      return "the next level was asked for";
    case Why::no_bump_forced:
      return "the same level was asked for";
    case Why::bumped:
      return fmt::format("level {} saves {}, and bumpsize, bumppercent and bumpmult ask for {}", level,
                         size_text(saves_kib), size_text(wanted_kib));
    case Why::not_bumped:
      return fmt::format("level {} would save {} only, where bumpsize, bumppercent and bumpmult ask for {}",
                         level, size_text(saves_kib), size_text(wanted_kib));
    case Why::too_early:
      return fmt::format("it stays at its level for another {} {} before level {} is thought of (bumpdays)",
                         runs, runs == 1 ? "run" : "runs", level);
    case Why::no_volume:
      return "a full is due, but there is no volume for it (runtapes, reserve)";
    case Why::no_full_size:
      return "a full is due, but the client cannot say how large it would be (estimate)";
    case Why::no_incremental_size:
      return "a full is not due, but the client knows the size of nothing else (estimate)";
    case Why::promoted:
      return fmt::format("its full is made {} early, so that each night has its share (maxpromoteday)",
                         days_text(days));
    case Why::promoted_from_hill:
      return fmt::format(
          "its full is made {} early, since many are due on that day and none is tonight (maxpromoteday)",
          days_text(days));
    case Why::delayed:
      return fmt::format(
          "a full of {} is due, but does not fit tonight (runtapes, tapetype length, maxdumpsize)",
          size_text(saves_kib));
  }
  return {};
}

}  // namespace headrace::plan
