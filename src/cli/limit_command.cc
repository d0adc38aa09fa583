#include "cli/limit_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <set>
#include <utility>

#include "cli/run_connection.h"
#include "config/units.h"
#include "server/observe/control_text.h"

namespace headrace::cli {
namespace {

using observe::ControlReply;
using observe::ControlRequest;

int complain(const std::string& what) {
  fmt::print(stderr, "headrace: {}\n", what);
  return kExitUsage;
}

// What the next run begins with.
ControlReply configured(const ServerContext& context) {
  ControlReply out;
  out.config = context.config.name;
  const auto add = [&out](std::string limit, std::string interface, std::string host, int64_t value) {
    out.limits.push_back({std::move(limit), std::move(interface), std::move(host), {}, value, value});
  };
  add("inparallel", {}, {}, context.config.globals.inparallel);
  std::set<std::string> seen;
  for (const auto& disk : context.disks)
    if (const auto* it = context.config.interface_named(disk.interface_name);
        it && seen.insert(it->name).second)
      add("netusage", it->name, {}, it->use_kps);
  seen.clear();
  for (const auto& disk : context.disks)
    if (seen.insert(disk.host).second) add("maxdumps", {}, disk.host, disk.dumptype.maxdumps);
  return out;
}

base::Result<ControlRequest> request_of(const LimitOptions& options) {
  ControlRequest request{.what = ControlRequest::Do::limit, .words = options.disks};
  request.interface = options.interface;
  if (options.in_parallel) request.in_parallel = *options.in_parallel;
  if (options.max_dumps) request.max_dumps = *options.max_dumps;
  if (!options.netusage.empty()) {
    const auto rate = config::parse_rate(options.netusage);
    if (!rate) return std::unexpected(rate.error());
    if (*rate == 0)
      return base::fail(base::ErrorKind::refused,
                        "netusage has no \"none\"; give a rate that is never reached");
    request.netusage_kps = *rate / config::kKi;
  }
  if (!options.rate.empty()) {
    const auto rate = config::parse_rate(options.rate);
    if (!rate) return std::unexpected(rate.error());
    request.rate = *rate;
  }
  return request;
}

int show(const LimitOptions& options) {
  const auto context = load_context(options.config, options.overrides, true);
  if (!context) return kExitUsage;
  const auto print = [&options](const ControlReply& reply) {
    fmt::print("{}", options.json ? observe::control_json(reply) : observe::limits_text(reply));
  };
  auto runs = connect_to_runs(*context, options.run);
  if (!runs && !options.run.empty()) return complain(runs.error().what());
  if (!runs) print(configured(*context));
  for (size_t i = 0; runs && i < runs->size(); ++i) {
    auto shown = (*runs)[i].ask({.what = ControlRequest::Do::show});
    if (!shown) return complain(shown.error().what());
    shown->dumps.clear();
    print(*shown);
  }
  return 0;
}

}  // namespace

int limit(const LimitOptions& options) {
  const bool changes =
      options.in_parallel || options.max_dumps || !options.netusage.empty() || !options.rate.empty();
  if (!changes && !options.disks.empty())
    return complain(
        "say what to limit: --maxdumps N or --rate RATE; \"headrace limit CONFIG\" shows all limits");
  if (!changes) return show(options);
  if (!options.disks.empty() && (options.in_parallel || !options.netusage.empty()))
    return complain("inparallel and netusage are of the whole run: leave HOST out");
  const auto request = request_of(options);
  if (!request) return complain(request.error().what());
  const auto context = load_context(options.config, options.overrides, false);
  if (!context) return kExitUsage;
  auto runs = connect_to_runs(*context, options.run);
  if (!runs) return complain(runs.error().what() + "; limits of the next run are in amanda.conf");
  auto run = the_run_of(std::move(*runs), options.disks);
  if (!run) return complain(run.error().what());
  const auto reply = run->ask(*request);
  if (!reply) return complain(reply.error().what());
  fmt::print("{}", options.json ? observe::control_json(*reply) : observe::changed_text(*reply));
  return 0;
}

}  // namespace headrace::cli
