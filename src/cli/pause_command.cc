#include "cli/pause_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "cli/run_connection.h"
#include "server/observe/control_text.h"
#include "server/observe/text.h"

namespace headrace::cli {
namespace {

using Do = observe::ControlRequest::Do;

int complain(const std::string& what) {
  fmt::print(stderr, "headrace: {}\n", what);
  return kExitUsage;
}

void print(const observe::ControlReply& reply, Do what, bool json) {
  fmt::print("{}", json ? observe::control_json(reply) : observe::pause_text(reply, what == Do::pause));
}

int nothing_to_pause(const std::string& where) {
  return complain("nothing is paused: what was named is not dumped any more in " + where);
}

int change_one(RunConnection& run, const PauseOptions& options, Do what) {
  const auto reply = run.ask({.what = what, .words = options.disks});
  if (!reply) return complain(reply.error().what());
  print(*reply, what, options.json);
  using Outcome = observe::ControlDump::Outcome;
  const bool all_over =
      std::ranges::all_of(reply->dumps, [](const auto& dump) { return dump.outcome == Outcome::over; });
  return what == Do::pause && all_over ? nothing_to_pause("this run") : 0;
}

// In each run what it has of it: a disk whose dump is over in one of them may be dumped by another.
int change_each(std::vector<RunConnection> runs, const PauseOptions& options, Do what) {
  const size_t count = runs.size();
  auto having = runs_having(std::move(runs), options.disks);
  if (!having) return complain(having.error().what());
  for (RunDumps& it : *having) {
    const auto reply = it.run.ask({.what = what, .words = it.dumps, .exact = true});
    if (!reply) return complain(reply.error().what());
    const auto& timestamp = it.run.run.timestamp;
    if (!options.json)
      fmt::print("in the run of {} ({}):\n", observe::readable_timestamp(timestamp), timestamp);
    print(*reply, what, options.json);
  }
  if (!having->empty()) return 0;
  if (what == Do::pause) return nothing_to_pause(fmt::format("any of the {} runs that go on", count));
  fmt::print(stderr, "headrace: what was named is not dumped any more in any of the {} runs that go on\n",
             count);
  return 0;
}

int change(const PauseOptions& options, Do what) {
  const auto context = load_context(options.config, options.overrides, false);
  if (!context) return kExitUsage;
  auto runs = connect_to_runs(*context, options.run);
  if (!runs) return complain(runs.error().what());
  return runs->size() == 1 ? change_one(runs->front(), options, what)
                           : change_each(std::move(*runs), options, what);
}

}  // namespace

int pause(const PauseOptions& options) { return change(options, Do::pause); }
int resume(const PauseOptions& options) { return change(options, Do::resume); }

}  // namespace headrace::cli
