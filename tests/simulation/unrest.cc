#include "unrest.h"

#include <array>

namespace headrace::simulation {

namespace {

constexpr int64_t kHour = 3600;
// So that the nights' random numbers and these have nothing to do with each other.
constexpr uint64_t kOtherStream = 0xA0761D6478BD642FU;

}  // namespace

Rules Rules::of(const Scenario& scenario) {
  return {.dumpcycle_days = scenario.dumpcycle_days,
          .tapecycle = scenario.tapecycle,
          .runtapes = scenario.runtapes,
          .in_parallel = scenario.in_parallel,
          .max_dumps = scenario.max_dumps};
}

UnrestSource::UnrestSource(const Scenario& scenario, uint64_t seed)
    : scenario_(scenario), random_(seed ^ kOtherStream), rules_(Rules::of(scenario)) {}

NightUnrest UnrestSource::next() {
  const Unrest& often = scenario_.unrest;
  NightUnrest out;
  if (random_.one_in(often.nobody_one_in)) out.days_before = static_cast<int64_t>(random_.between(1, 12));
  out.renames = random_.one_in(often.renamed_one_in);
  if (random_.one_in(often.relisted_one_in)) (random_.one_in(2) ? out.leaves : out.comes) = true;
  if (random_.one_in(often.reconfigured_one_in)) change_rules();
  if (random_.one_in(often.volumes_away_one_in))
    nights_without_volumes_ = static_cast<int64_t>(random_.between(1, 4));
  if (nights_without_volumes_ > 0) {
    --nights_without_volumes_;
    out.volumes_away = true;
  }
  // Forward by less than a run name may be ahead of the clock, or back so far that a run is refused.
  if (random_.one_in(often.clock_wrong_one_in))
    out.clock_off = static_cast<int64_t>(random_.below(96 * kHour)) - 72 * kHour;
  out.holding_gone = random_.one_in(often.holding_gone_one_in);
  if (out.holding_gone) {
    out.gone_when = random_.one_in(2) ? -1 : static_cast<int64_t>(random_.below(900));
    out.back_when = static_cast<int64_t>(random_.between(60, 4 * kHour));
  }
  out.second_run = random_.one_in(often.second_run_one_in);
  if (out.second_run) out.second_when = static_cast<int64_t>(random_.below(600));
  out.choice = random_.next();
  return out;
}

void UnrestSource::change_rules() {
  constexpr std::array kStrategies{"standard", "standard", "nofull", "noinc", "incronly", "skip"};
  constexpr std::array kHolding{"auto", "never", "required"};
  const auto drawn = [this](int64_t low, int64_t high) {
    return static_cast<int64_t>(random_.between(static_cast<uint64_t>(low), static_cast<uint64_t>(high)));
  };
  switch (random_.below(7)) {
    case 0:
      rules_.dumpcycle_days = drawn(1, 7);
      break;
    case 1:
      rules_.in_parallel = drawn(1, 6);
      break;
    case 2:
      rules_.max_dumps = drawn(1, 3);
      break;
    case 3:
      // There are volumes for as many as the scenario says, and no more.
      rules_.tapecycle = drawn(scenario_.tapecycle / 2 + 1, scenario_.tapecycle);
      break;
    case 4:
      rules_.runtapes = drawn(1, scenario_.runtapes);
      break;
    case 5:
      rules_.strategy = kStrategies[random_.below(scenario_.unrest.any_strategy ? kStrategies.size() : 2)];
      break;
    default:
      rules_.holdingdisk = kHolding[random_.below(kHolding.size())];
      break;
  }
}

}  // namespace headrace::simulation
