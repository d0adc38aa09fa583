#include "cli/explain_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/quote.h"
#include "cli/plan_json.h"
#include "server/plan/levels.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::ordered_json;

bool speaks_of(const std::string& text, const std::string& name) {
  const size_t at = text.find(name);
  if (at == std::string::npos) return false;
  const size_t end = at + name.size();
  return end == text.size() || text[end] == ' ' || text[end] == '.' || text[end] == ':';
}

Json records_json(const plan::PlanDle& dle) {
  Json list = Json::array();
  for (const auto& [level, record] : dle.records) {
    list.push_back({{"level", level},
                    {"timestamp", record.timestamp},
                    {"native_kib", record.native_kib},
                    {"stored_kib", record.stored_kib},
                    {"exists", record.exists},
                    {"label", record.label},
                    {"overwritten_in_runs", record.overwritten_in_runs},
                    {"failed_since", dle.failed.contains(level)}});
  }
  return list;
}

// "never" and "always" are the strategy's words; "missing": there is none yet.
Json due_json(const plan::PlanDle& dle, const std::string& tonight) {
  Json due{{"full", "in"}, {"days", nullptr}, {"dumpcycle", dle.dumpcycle_days}};
  if (dle.strategy == config::Strategy::nofull || dle.strategy == config::Strategy::incronly) {
    due["full"] = "never";
  } else if (dle.strategy == config::Strategy::noinc) {
    due["full"] = "always";
  } else if (!dle.records.contains(0)) {
    due["full"] = "missing";
  } else {
    due["days"] = plan::days_until_full(dle, tonight);
  }
  return due;
}

int64_t native_of(const plan::Answer& answer, int level) {
  const auto said = answer.native_kib.find(level);
  return said == answer.native_kib.end() ? -1 : std::max<int64_t>(said->second, -1);
}

Json estimates_json(const plan::Decision& decision, const plan::Answer& answer) {
  Json list = Json::array();
  for (const int level : decision.client_levels)
    list.push_back({{"level", level}, {"native_kib", native_of(answer, level)}});
  return list;
}

Json bump_json(const plan::PlanDle& dle, const plan::Decision& decision, const plan::Answer& answer) {
  if (decision.fixed_level >= 0 || decision.last_level <= 0) return nullptr;
  const int level = decision.last_level;
  const auto full = static_cast<uint64_t>(std::max<int64_t>(native_of(answer, 0), 0));
  return {{"level", level + 1},
          {"saves_kib", static_cast<uint64_t>(plan::bump_threshold(dle, level, full))},
          {"after_runs", dle.bump_days}};
}

Json measured_json(const journal::Rates& rates, const plan::PlanDle& dle) {
  Json out = Json::object();
  for (const bool full : {true, false}) {
    const auto* rate = rates.of(dle.host, dle.disk, full);
    if (rate != nullptr && rate->own_kps != 0) out[full ? "fulls_kps" : "incrementals_kps"] = rate->own_kps;
  }
  return out;
}

// What becomes of the disk: "dump", "fail", "skip" or "leave out".
void add_outcome(const NightContext& context, const plan::Plan& plan, size_t index, Json& out) {
  const auto& disk = context.night.disks[index];
  const auto& config = context.server.config;
  for (size_t place = 0; place < plan.dumps.size(); ++place) {
    const auto& dump = plan.dumps[place];
    if (dump.dle != index) continue;
    out["tonight"] = "dump";
    out["dump"] = level_json(dump.as, disk, config);
    out["dump"]["base"] = dump.as.base_timestamp;
    out["dump"]["priority"] = dump.priority;
    out["dump"]["place"] = place + 1;
    if (dump.degraded) out["without_volume"] = level_json(*dump.degraded, disk, config);
    if (!dump.not_degraded.empty()) out["without_volume_not"] = dump.not_degraded;
  }
  for (const auto& [word, list] :
       {std::pair("fail", &plan.failed), {"skip", &plan.skipped}, {"leave out", &plan.left_out}}) {
    for (const auto& it : *list) {
      if (it.dle != index) continue;
      out["tonight"] = word;
      out["reason"] = it.reason;
    }
  }
}

Json disk_json(const NightContext& context, const plan::Plan& plan, const journal::Rates& rates,
               size_t index) {
  const auto& dle = context.night.inputs.dles[index];
  const auto& decision = context.night.decisions[index];
  const auto& answer = context.answers->answers()[index];
  Json out{{"host", dle.host},
           {"disk", dle.disk},
           {"records", records_json(dle)},
           {"due", due_json(dle, context.night.inputs.timestamp)},
           {"last_level", dle.last_level},
           {"last_level_runs", dle.last_level_runs}};
  if (decision.fate == plan::Fate::dump) {
    out["estimates"] = estimates_json(decision, answer);
    if (auto bump = bump_json(dle, decision, answer); !bump.is_null()) out["to_go_up"] = std::move(bump);
  }
  out["measured"] = measured_json(rates, dle);
  add_outcome(context, plan, index, out);
  Json notes = Json::array();
  for (const auto& note : notes_about(plan, dle))
    notes.push_back({{"warning", note.warning}, {"text", note.text}});
  out["notes"] = std::move(notes);
  return out;
}

}  // namespace

std::vector<plan::PlanNote> notes_about(const plan::Plan& plan, const plan::PlanDle& dle) {
  const std::string name = dle.host + ":" + base::quote(dle.disk);
  std::vector<plan::PlanNote> notes;
  for (const auto& note : plan.notes)
    if (speaks_of(note.text, name)) notes.push_back(note);
  return notes;
}

std::string explain_json(const NightContext& context, const plan::Plan& plan, const journal::Rates& rates,
                         const std::vector<size_t>& named) {
  Json disks = Json::array();
  for (const size_t index : named) disks.push_back(disk_json(context, plan, rates, index));
  const auto& capacity = context.night.inputs.capacity;
  const Json out{{"timestamp", context.night.inputs.timestamp},
                 {"disks", std::move(disks)},
                 {"night",
                  {{"dumps", plan.dumps.size()},
                   {"stored_kib", plan.total_stored_kib},
                   {"fulls_kib", plan.fulls_kib},
                   {"balanced_kib", plan.balanced_kib},
                   {"volumes", capacity.volumes},
                   {"volume_kib", capacity.volume_kib}}}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace headrace::cli
