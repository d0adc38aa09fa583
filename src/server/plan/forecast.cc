#include "server/plan/forecast.h"

#include <fmt/format.h>

#include "server/plan/levels.h"

namespace headrace::plan {
namespace {

// What a dump leaves behind for the next plan.
void remember(PlanDle& dle, const PlannedLevel& dumped, const std::string& timestamp) {
  std::erase_if(dle.records, [&](const auto& record) { return record.first >= dumped.level; });
  dle.records[dumped.level] = {
      .timestamp = timestamp, .native_kib = dumped.native_kib, .stored_kib = dumped.stored_kib};
  dle.last_level_runs = dle.last_level == dumped.level ? dle.last_level_runs + 1 : 1;
  dle.last_level = dumped.level;
  dle.history.insert(dle.history.begin(), {dumped.level, dumped.native_kib});
  dle.force_full = dle.force_level_1 = dle.force_bump = dle.force_no_bump = false;
}

// A disk that skip-full left out counts as dumped in full, elsewhere.
void remember_skip(PlanDle& dle, const NotDumped& skipped, const std::string& timestamp) {
  dle.skip_asked = false;
  if (skipped.reason != kSkipFull) return;
  dle.records[0].timestamp = timestamp;
  dle.force_full = false;
  if (dle.last_level < 0) {
    dle.last_level = 0;
    dle.last_level_runs = 1;
  }
}

}  // namespace

std::string next_day(const std::string& timestamp) {
  const auto day = day_of(timestamp);
  if (!day) return timestamp;
  const std::chrono::year_month_day date(*day + std::chrono::days(1));
  return fmt::format("{:04}{:02}{:02}{}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), timestamp.substr(8));
}

std::vector<ForeseenNight> foresee(PlanInputs inputs, std::span<const Answer> answers, size_t nights) {
  std::vector<ForeseenNight> foreseen;
  for (size_t night = 0; night < nights; ++night) {
    foreseen.push_back({inputs.timestamp, make_plan(inputs, answers)});
    for (const auto& dump : foreseen.back().plan.dumps)
      remember(inputs.dles[dump.dle], dump.as, inputs.timestamp);
    for (const auto& skipped : foreseen.back().plan.skipped)
      remember_skip(inputs.dles[skipped.dle], skipped, inputs.timestamp);
    // Which volumes are written again then is not foreseen.
    for (auto& dle : inputs.dles)
      for (auto& [_, record] : dle.records) record.overwritten_in_runs = 0;
    inputs.timestamp = next_day(inputs.timestamp);
  }
  return foreseen;
}

}  // namespace headrace::plan
