#include "cli/explain_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/human_kib.h"
#include "base/quote.h"
#include "cli/explain_json.h"
#include "cli/night_context.h"
#include "journal/rates.h"
#include "server/observe/text.h"
#include "server/plan/levels.h"

namespace headrace::cli {
namespace {

using observe::Table;

std::string days(int64_t count) { return fmt::format("{} {}", count, count == 1 ? "day" : "days"); }

std::string record_text(const plan::DumpRecord& record) {
  std::string text = fmt::format("{}, {}", observe::readable_timestamp(record.timestamp),
                                 base::human_kib(record.native_kib));
  if (record.stored_kib != record.native_kib)
    text += fmt::format(" ({} stored)", base::human_kib(record.stored_kib));
  if (!record.exists) return text + ", gone: its volume was overwritten or removed";
  if (record.label.empty()) return text + ", on holding disk";
  text += ", on " + observe::printable(record.label);
  if (record.overwritten_in_runs == 1) text += ", which tonight's run overwrites";
  if (record.overwritten_in_runs > 1)
    text += fmt::format(", overwritten in {} runs", record.overwritten_in_runs);
  return text;
}

std::string due_text(const plan::PlanDle& dle, const std::string& tonight) {
  if (dle.strategy == config::Strategy::nofull || dle.strategy == config::Strategy::incronly)
    return "never (strategy)";
  if (dle.strategy == config::Strategy::noinc) return "every night (strategy noinc)";
  if (!dle.records.contains(0)) return "now: there is none yet";
  const int64_t in = plan::days_until_full(dle, tonight);
  if (in > 0) return fmt::format("in {} (dumpcycle {})", days(in), days(dle.dumpcycle_days));
  return fmt::format("{} (dumpcycle {})", in == 0 ? "today" : "overdue by " + days(-in),
                     days(dle.dumpcycle_days));
}

std::string sizes_text(const plan::Decision& decision, const plan::Answer& answer) {
  std::string text;
  for (const int level : decision.client_levels) {
    const auto said = answer.native_kib.find(level);
    const bool known = said != answer.native_kib.end() && said->second >= 0;
    text += fmt::format("{}level {} {}", text.empty() ? "" : ", ", level,
                        known ? base::human_kib(static_cast<uint64_t>(said->second)) : "unknown");
  }
  return text;
}

std::string bump_text(const plan::PlanDle& dle, const plan::Decision& decision, uint64_t full_kib) {
  const int level = std::max(decision.last_level, 1);
  const std::string rule =
      dle.bump_percent != 0
          ? fmt::format("bumppercent {}", dle.bump_percent)
          : fmt::format("bumpsize {}", base::human_kib(static_cast<uint64_t>(dle.bump_size_kib)));
  return fmt::format(
      "level {} has to save {} over level {} ({}, bumpmult {:g}), after {} at it (bumpdays)", level + 1,
      base::human_kib(static_cast<uint64_t>(plan::bump_threshold(dle, level, full_kib))), level, rule,
      dle.bump_mult, observe::count_of(static_cast<uint64_t>(dle.bump_days), "run"));
}

std::string level_text(const plan::PlannedLevel& as) {
  return fmt::format("level {}, {}: {}", as.level, base::human_kib(as.stored_kib), as.reason.sentence());
}

// How fast its dumps came in, in earlier runs, while nothing of the server held them up.
std::string measured_text(const journal::Rates& rates, const plan::PlanDle& dle) {
  std::string text;
  for (const bool full : {true, false}) {
    const auto* rate = rates.of(dle.host, dle.disk, full);
    if (rate == nullptr || rate->own_kps == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", full ? "fulls" : "incrementals",
                        observe::rate(rate->own_kps * 1024, 1));
  }
  return text.empty() ? text : text + ", when nothing of the server held them up";
}

std::string turn_text(const plan::Plan& plan, size_t place, bool by_dumporder) {
  return fmt::format("{} of {} by priority {} and size; {}", place + 1, plan.dumps.size(),
                     plan.dumps[place].priority,
                     by_dumporder ? "which starts first says dumporder"
                                  : "of equal priority, what ends the run soonest starts first (dumporder)");
}

// What becomes of the disk, in one or two rows.
void outcome_rows(const plan::Plan& plan, size_t dle, bool by_dumporder, Table& table) {
  for (size_t place = 0; place < plan.dumps.size(); ++place) {
    const auto& dump = plan.dumps[place];
    if (dump.dle != dle) continue;
    table.row({"tonight", level_text(dump.as)});
    table.row({"in turn", turn_text(plan, place, by_dumporder)});
    if (dump.degraded) table.row({"without a volume", level_text(*dump.degraded)});
    if (!dump.not_degraded.empty() && dump.as.level == 0)
      table.row({"without a volume", "not dumped, unless reserve leaves room: " + dump.not_degraded});
  }
  for (const auto& it : plan.failed)
    if (it.dle == dle) table.row({"tonight", "FAILS: " + observe::first_line(it.reason)});
  for (const auto& it : plan.skipped)
    if (it.dle == dle) table.row({"tonight", "skipped: " + it.reason});
  for (const auto& it : plan.left_out)
    if (it.dle == dle) table.row({"tonight", "left out: " + it.reason});
}

void explain_one(const NightContext& context, const plan::Plan& plan, const journal::Rates& rates,
                 size_t index) {
  const auto& dle = context.night.inputs.dles[index];
  const auto& decision = context.night.decisions[index];
  const auto& answer = context.answers->answers()[index];
  const std::string name = dle.host + ":" + base::quote(dle.disk);
  fmt::print("{}\n", observe::printable(name));
  Table table({Table::Align::left, Table::Align::left});
  for (const auto& [level, record] : dle.records)
    table.row({fmt::format("last level {}", level),
               record_text(record) + (dle.failed.contains(level)
                                          ? ", but one failed since, which its client may have recorded"
                                          : "")});
  table.row({"a full is due", due_text(dle, context.night.inputs.timestamp)});
  if (dle.last_level >= 0)
    table.row({"last run",
               fmt::format("level {}, the {}. in a row", dle.last_level, std::max(dle.last_level_runs, 1))});
  if (decision.fate == plan::Fate::dump) {
    if (!decision.client_levels.empty()) table.row({"sizes tonight", sizes_text(decision, answer)});
    const auto full = answer.native_kib.find(0);
    const bool full_known = full != answer.native_kib.end() && full->second > 0;
    if (decision.fixed_level < 0 && decision.last_level > 0)
      table.row({"to go up", bump_text(dle, decision, full_known ? static_cast<uint64_t>(full->second) : 0)});
  }
  if (const auto measured = measured_text(rates, dle); !measured.empty()) table.row({"measured", measured});
  outcome_rows(plan, index, !context.server.config.globals.dumporder.empty(), table);
  fmt::print("{}", table.text("  "));
  for (const auto& note : notes_about(plan, dle))
    fmt::print("  {}{}\n", note.warning ? "warning: " : "", observe::printable(note.text));
}

void print_text(const NightContext& context, const plan::Plan& plan, const journal::Rates& rates,
                const std::vector<size_t>& named) {
  for (const size_t index : named) {
    if (index != named.front()) fmt::print("\n");
    explain_one(context, plan, rates, index);
  }
  const auto& capacity = context.night.inputs.capacity;
  fmt::print("\nthe night: {} in {}; fulls {}, where a night's share is {}",
             base::human_kib(plan.total_stored_kib), observe::count_of(plan.dumps.size(), "dump"),
             base::human_kib(plan.fulls_kib), base::human_kib(plan.balanced_kib));
  if (capacity.volume_kib > 0)
    fmt::print("; {} of {} each (runtapes)",
               observe::count_of(static_cast<uint64_t>(std::max<int64_t>(capacity.volumes, 0)), "volume"),
               base::human_kib(static_cast<uint64_t>(capacity.volume_kib)));
  fmt::print("\n");
}

}  // namespace

int explain(const ExplainOptions& options) {
  // All disks, whichever are named: what fits, and which fulls are made early, depends on the others.
  const auto context = load_night(options.config, options.overrides, {}, options.at, options.clients);
  if (!context) return kExitUsage;
  const auto named = select_disks(context->server.disks, options.disks);
  if (!named) return kExitUsage;
  const auto plan = plan::make_plan(context->night.inputs, context->answers->answers());
  const auto rates = journal::load_rates(context->server.config.globals.logdir);
  if (!rates) fmt::print(stderr, "headrace: {}\n", rates.error().what());
  const journal::Rates unknown;
  std::vector<size_t> chosen;
  for (size_t i = 0; i < context->night.disks.size(); ++i) {
    const auto& disk = context->night.disks[i];
    const bool wanted = std::ranges::any_of(
        *named, [&disk](const auto& it) { return it.host == disk.host && it.disk == disk.disk; });
    if (wanted) chosen.push_back(i);
  }
  const auto& known = rates ? *rates : unknown;
  if (options.json)
    fmt::print("{}", explain_json(*context, plan, known, chosen));
  else
    print_text(*context, plan, known, chosen);
  return 0;
}

}  // namespace headrace::cli
