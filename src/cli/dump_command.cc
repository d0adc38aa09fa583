#include "cli/dump_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "cli/run_control.h"
#include "cli/run_progress.h"
#include "cli/server_context.h"
#include "loop/loop.h"
#include "loop/signals.h"
#include "server/drive/runner.h"
#include "server/observe/report.h"

namespace headrace::cli {

namespace {

// Holding files, volumes, index files and histories of several dumps at once.
constexpr unsigned kWorkers = 8;

}  // namespace

int dump(const DumpOptions& options) {
  auto context = load_context(options.config, options.overrides, true);
  if (!context) return kExitUsage;
  auto disks = select_disks(context->disks, options.disks);
  if (!disks) return kExitUsage;

  auto loop = loop::make_loop(kWorkers);
  auth::NetConnector connector(*loop);
  drive::Runner runner(*loop, connector, context->config,
                       {std::move(*disks), !options.disks.empty(), options.no_volume});
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
  auto signals = loop::on_signals(*loop, {SIGINT, SIGTERM}, [&](int number) {
    // Once: end in order. Again: leave now; the next run puts things right.
    if (++interrupts > 1) return loop->stop();
    progress->say(fmt::format("ending the run (signal {}); once more to leave at once", number));
    runner.cancel(number == SIGINT ? "interrupted by the operator" : "ended by signal 15");
  });
  runner.start([&](const journal::Body& body) { progress->event(body); },
               [&](int outcome) {
                 status = outcome;
                 loop->stop();
               });
  loop->run();
  if (socket) socket->reset();
  progress->finish();
  if (options.json) fmt::print("{}\n", observe::report_json(runner.state(), {}));
  return status;
}

}  // namespace headrace::cli
