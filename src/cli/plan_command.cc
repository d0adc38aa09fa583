#include "cli/plan_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/human_kib.h"
#include "cli/night_context.h"
#include "cli/plan_json.h"
#include "server/observe/text.h"
#include "server/plan/forecast.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::ordered_json;
using observe::Table;

constexpr int kExitSomeFailed = 4;

// Every level that was asked for; -1: no value came.
Json estimates_json(const drive::Night& night, const std::vector<plan::Answer>& answers) {
  Json list = Json::array();
  for (const auto& wish : drive::wishes_of(night)) {
    const auto found = std::ranges::find_if(night.disks, [&wish](const auto& disk) {
      return disk.host == wish.entry.host && disk.disk == wish.entry.disk;
    });
    const auto& answer = answers[static_cast<size_t>(std::distance(night.disks.begin(), found))];
    for (const int level : wish.levels) {
      const auto kib = answer.native_kib.find(level);
      list.push_back(
          {{"host", wish.entry.host},
           {"disk", wish.entry.disk},
           {"level", level},
           {"native_kib", kib == answer.native_kib.end() ? -1 : std::max<int64_t>(kib->second, -1)},
           {"trouble", answer.refusal.empty() ? answer.trouble : answer.refusal}});
    }
  }
  return list;
}

void print_estimates(const Json& estimates) {
  Table table({Table::Align::left, Table::Align::right, Table::Align::right, Table::Align::left});
  table.row({"ESTIMATES", "LEVEL", "SIZE", ""});
  for (const auto& it : estimates) {
    const auto kib = it["native_kib"].get<int64_t>();
    table.row({observe::dle_name({it["host"], it["disk"], {}, 0}), fmt::format("{}", it["level"].get<int>()),
               kib < 0 ? "none" : base::human_kib(static_cast<uint64_t>(kib)),
               observe::first_line(it["trouble"].get<std::string>())});
  }
  if (!estimates.empty()) fmt::print("{}\n", table.text());
}

void print_json(const drive::Night& night, const plan::Plan& plan, Json estimates,
                const config::ServerConfig& config) {
  const auto named = [&night](size_t dle) {
    return Json{{"host", night.disks[dle].host}, {"disk", night.disks[dle].disk}};
  };
  Json dumps = Json::array();
  for (const auto& dump : plan.dumps) {
    auto one = named(dump.dle);
    one["priority"] = dump.priority;
    const auto& disk = night.disks[dump.dle];
    one.update(level_json(dump.as, disk, config));
    if (dump.degraded) one["without_volume"] = level_json(*dump.degraded, disk, config);
    if (!dump.not_degraded.empty()) one["without_volume_not"] = dump.not_degraded;
    dumps.push_back(std::move(one));
  }
  Json out = {{"timestamp", night.inputs.timestamp},
              {"estimates", std::move(estimates)},
              {"dumps", std::move(dumps)}};
  for (const auto& [name, list] : {std::pair("skipped", &plan.skipped), {"failed", &plan.failed}}) {
    Json rows = Json::array();
    for (const auto& it : *list) {
      auto one = named(it.dle);
      one["level"] = it.level;
      one["reason"] = it.reason;
      rows.push_back(std::move(one));
    }
    out[name] = std::move(rows);
  }
  Json notes = Json::array();
  for (const auto& note : plan.notes) notes.push_back({{"warning", note.warning}, {"text", note.text}});
  out["notes"] = std::move(notes);
  out["stored_kib"] = plan.total_stored_kib;
  out["fulls_kib"] = plan.fulls_kib;
  out["balanced_kib"] = plan.balanced_kib;
  fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_text(const drive::Night& night, const plan::Plan& plan) {
  const auto name = [&night](size_t dle) {
    return observe::dle_name({night.disks[dle].host, night.disks[dle].disk, {}, 0});
  };
  fmt::print("{}: {}, {}; fulls {}, where a night's share is {}\n\n",
             observe::readable_timestamp(night.inputs.timestamp),
             observe::count_of(plan.dumps.size(), "dump"), base::human_kib(plan.total_stored_kib),
             base::human_kib(plan.fulls_kib), base::human_kib(plan.balanced_kib));
  Table dumps({Table::Align::left, Table::Align::right, Table::Align::right, Table::Align::left});
  dumps.row({"DISK", "LEVEL", "SIZE", "WHY"});
  for (const auto& dump : plan.dumps) {
    dumps.row({name(dump.dle), fmt::format("{}", dump.as.level), base::human_kib(dump.as.stored_kib),
               dump.as.reason.sentence()});
  }
  if (!plan.dumps.empty()) fmt::print("{}", dumps.text());
  Table others({Table::Align::left, Table::Align::right, Table::Align::left});
  for (const auto& it : plan.failed)
    others.row({name(it.dle), fmt::format("{}", it.level), "FAILS: " + observe::first_line(it.reason)});
  for (const auto& it : plan.skipped)
    others.row({name(it.dle), fmt::format("{}", it.level), "skipped: " + it.reason});
  if (!others.empty()) fmt::print("\n{}", others.text());
  if (!plan.notes.empty()) fmt::print("\n");
  for (const auto& note : plan.notes)
    fmt::print("{}{}\n", note.warning ? "warning: " : "", observe::printable(note.text));
}

struct NightSums {
  size_t fulls = 0, incrementals = 0, early = 0, delayed = 0;
  uint64_t incrementals_kib = 0;
};
NightSums sums_of(const plan::Plan& plan) {
  NightSums sums;
  for (const auto& dump : plan.dumps) {
    const auto why = dump.as.reason.why;
    if (dump.as.level == 0) {
      ++sums.fulls;
    } else {
      ++sums.incrementals;
      sums.incrementals_kib += dump.as.stored_kib;
    }
    sums.early += why == plan::Why::promoted || why == plan::Why::promoted_from_hill ? 1 : 0;
    sums.delayed += why == plan::Why::delayed ? 1 : 0;
  }
  return sums;
}

void print_nights(const std::vector<plan::ForeseenNight>& nights) {
  using Align = Table::Align;
  Table table({Align::left, Align::right, Align::right, Align::right, Align::right, Align::right,
               Align::right, Align::right, Align::right});
  table.row({"NIGHT", "FULLS", "SIZE", "SHARE", "INCREMENTALS", "SIZE", "EARLY", "DELAYED", "FAIL"});
  for (const auto& [timestamp, plan] : nights) {
    const auto sums = sums_of(plan);
    table.row({observe::readable_timestamp(timestamp).substr(0, 10), fmt::format("{}", sums.fulls),
               base::human_kib(plan.fulls_kib), base::human_kib(plan.balanced_kib),
               fmt::format("{}", sums.incrementals), base::human_kib(sums.incrementals_kib),
               fmt::format("{}", sums.early), fmt::format("{}", sums.delayed),
               fmt::format("{}", plan.failed.size())});
  }
  fmt::print("{}", table.text());
}

void print_nights_json(const std::vector<plan::ForeseenNight>& nights) {
  Json list = Json::array();
  for (const auto& [timestamp, plan] : nights) {
    const auto sums = sums_of(plan);
    list.push_back({{"timestamp", timestamp},
                    {"fulls", sums.fulls},
                    {"fulls_kib", plan.fulls_kib},
                    {"balanced_kib", plan.balanced_kib},
                    {"incrementals", sums.incrementals},
                    {"incrementals_kib", sums.incrementals_kib},
                    {"early", sums.early},
                    {"delayed", sums.delayed},
                    {"failed", plan.failed.size()}});
  }
  fmt::print("{}\n", Json{{"nights", std::move(list)}}.dump(2));
}

}  // namespace

int plan(const PlanOptions& options) {
  const auto context =
      load_night(options.config, options.overrides, options.disks, options.at, options.clients);
  if (!context) return kExitUsage;
  const auto& night = context->night;
  const auto& answers = *context->answers;
  if (options.nights > 1) {
    const auto nights = plan::foresee(night.inputs, answers.answers(), options.nights);
    options.json ? print_nights_json(nights) : print_nights(nights);
    return 0;
  }
  const auto planned = plan::make_plan(night.inputs, answers.answers());
  auto estimates = options.clients ? estimates_json(night, answers.answers()) : Json::array();
  if (options.json) {
    print_json(night, planned, std::move(estimates), context->server.config);
  } else {
    if (options.estimates) print_estimates(estimates);
    print_text(night, planned);
  }
  return planned.failed.empty() ? 0 : kExitSomeFailed;
}

}  // namespace headrace::cli
