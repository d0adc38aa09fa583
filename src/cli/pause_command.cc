#include "cli/pause_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/run_connection.h"
#include "server/observe/control_text.h"

namespace headrace::cli {
namespace {

int change(const PauseOptions& options, observe::ControlRequest::Do what) {
  const auto context = load_context(options.config, options.overrides, false);
  if (!context) return kExitUsage;
  auto connection = connect_to_run(*context);
  if (!connection) {
    fmt::print(stderr, "headrace: {}\n", connection.error().what());
    return kExitUsage;
  }
  const auto reply = connection->ask({.what = what, .words = options.disks});
  if (!reply) {
    fmt::print(stderr, "headrace: {}\n", reply.error().what());
    return kExitUsage;
  }
  const bool pauses = what == observe::ControlRequest::Do::pause;
  fmt::print("{}", options.json ? observe::control_json(*reply) : observe::pause_text(*reply, pauses));
  using Outcome = observe::ControlDump::Outcome;
  const bool all_over =
      std::ranges::all_of(reply->dumps, [](const auto& dump) { return dump.outcome == Outcome::over; });
  if (!pauses || !all_over) return 0;
  fmt::print(stderr, "headrace: nothing is paused: what was named is not dumped any more in this run\n");
  return kExitUsage;
}

}  // namespace

int pause(const PauseOptions& options) { return change(options, observe::ControlRequest::Do::pause); }
int resume(const PauseOptions& options) { return change(options, observe::ControlRequest::Do::resume); }

}  // namespace headrace::cli
