#include "cli/dump_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/quote.h"
#include "cli/run_control.h"
#include "cli/run_entry.h"
#include "cli/run_progress.h"
#include "cli/server_context.h"
#include "loop/loop.h"
#include "loop/signals.h"
#include "server/drive/night.h"
#include "server/drive/runner.h"
#include "server/observe/report.h"

namespace headrace::cli {

namespace {

// Holding files, volumes, index files and histories of several dumps at once.
constexpr unsigned kWorkers = 8;

const char* name_of_signal(int number) {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "SIGTERM";
  }
}

// By nohup(1), say, or a shell that started us in the background: it is not ours to heed then.
bool is_ignored(int number) {
  struct sigaction action = {};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

int dump(const DumpOptions& options) {
  auto context = load_context(options.config, options.overrides, true);
  if (!context) return kExitUsage;
  auto disks = select_disks(context->disks, options.disks);
  if (!disks) return kExitUsage;

  // Named by the operator: by name it is refused.
  if (!options.disks.empty()) {
    std::erase_if(*disks, [](const config::DiskListEntry& disk) {
      const bool refused = !drive::server_may_start(disk.dumptype);
      if (refused)
        fmt::print(stderr,
                   "headrace: {} {} is not dumped: {}; start it on {} itself, or set dump-limit server\n",
                   disk.host, base::quote(disk.disk), drive::why_not_started(disk.dumptype), disk.host);
      return refused;
    });
    if (disks->empty()) return kExitUsage;
  }

  auto entry = enter_run(*context, *disks, options.wait);
  if (!entry) return kExitUsage;

  auto loop = loop::make_loop(kWorkers);
  auth::NetConnector connector(*loop);
  drive::Runner runner(*loop, connector, context->config,
                       {.disks = std::move(entry->disks),
                        .selected = !options.disks.empty(),
                        .no_volume = options.no_volume,
                        .taken = std::move(entry->taken),
                        .listed = context->disks});
  if (auto begun = runner.begin(); !begun) {
    fmt::print(stderr, "headrace: {}\n", begun.error().what());
    return kExitUsage;
  }
  RunControl control(*loop, runner);
  auto socket =
      observe::ControlServer::open(*loop, context->config.globals.logdir, runner.timestamp(), control);
  // The dumps matter more than changing them.
  if (!socket)
    fmt::print(stderr, "headrace: \"pause\", \"limit\" and \"diagnose\" will not reach this run: {}\n",
               socket.error().what());
  auto progress = make_progress(*loop, runner, !options.quiet);
  int status = kExitUsage;
  int interrupts = 0;
  const auto on_signal = [&](int number) {
    // Once: end in order. Again: leave now; the next run puts things right.
    if (++interrupts > 1) return loop->stop();
    progress->say(fmt::format("ending the run ({}); once more to leave at once", name_of_signal(number)));
    runner.cancel(number == SIGINT ? "interrupted by the operator"
                                   : fmt::format("ended by {}", name_of_signal(number)));
  };
  std::vector<std::unique_ptr<loop::Signals>> signals;
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    if (!is_ignored(number)) signals.push_back(loop::on_signals(*loop, {number}, on_signal));
  runner.start([&](const journal::Body& body) { progress->event(body); },
               [&](int outcome) {
                 status = outcome;
                 loop->stop();
               });
  // The journal names our disks now.
  entry.reset();
  loop->run();
  if (socket) socket->reset();
  progress->finish();
  if (options.json) fmt::print("{}\n", observe::report_json(runner.state(), {}));
  return status;
}

}  // namespace headrace::cli
