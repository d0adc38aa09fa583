#include "cli/run_connection.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "server/observe/text.h"

namespace headrace::cli {

using base::ErrorKind;
using base::Result;
using observe::ControlReply;

namespace {

Result<RunConnection> connect_to(const std::filesystem::path& logdir, FoundRun run) {
  RunConnection out{std::move(run), loop::make_loop(1), nullptr};
  auto client = observe::ControlClient::connect(*out.loop, logdir, out.run.timestamp);
  if (!client) return std::unexpected(std::move(client).error());
  out.client = std::move(*client);
  return out;
}

std::string names_of(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

template <class Runs, class Name>
std::string names_of(const Runs& runs, Name name) {
  std::vector<std::string> names;
  for (const auto& run : runs) names.push_back(name(run));
  return names_of(names);
}

Result<std::vector<FoundRun>> wanted_runs(const ServerContext& context, const std::string& wanted) {
  const auto& logdir = context.config.globals.logdir;
  auto runs = living_runs(logdir);
  if (!runs) return runs;
  std::erase_if(*runs, [&](const FoundRun& run) { return !run.timestamp.starts_with(wanted); });
  if (!wanted.empty() && runs->size() > 1) {
    return base::fail(ErrorKind::refused,
                      fmt::format("several runs begin with {}: {}", wanted,
                                  names_of(*runs, [](const FoundRun& run) { return run.timestamp; })));
  }
  if (!runs->empty()) return runs;
  const auto last = find_run(logdir, wanted);
  if (!last) return std::unexpected(last.error());
  const std::string began = observe::readable_timestamp(last->timestamp);
  if (!wanted.empty()) {
    return base::fail(
        ErrorKind::refused,
        fmt::format("the run of {} does not go on any more (\"headrace status --run {}\" shows it)", began,
                    last->timestamp));
  }
  return base::fail(
      ErrorKind::refused,
      fmt::format("no run of {} goes on; the last one began at {} (\"headrace status\" shows it)",
                  context.config.name, began));
}

}  // namespace

Result<ControlReply> RunConnection::ask(const observe::ControlRequest& request) {
  Result<ControlReply> outcome = base::fail(ErrorKind::gone, "the run did not answer");
  client->ask(request, [&](Result<ControlReply> reply) {
    outcome = std::move(reply);
    loop->stop();
  });
  loop->run();
  return outcome;
}

Result<std::vector<RunConnection>> connect_to_runs(const ServerContext& context, const std::string& wanted) {
  auto found = wanted_runs(context, wanted);
  if (!found) return std::unexpected(std::move(found).error());
  std::vector<RunConnection> runs;
  std::optional<base::Error> trouble;
  for (FoundRun& run : *found) {
    auto connection = connect_to(context.config.globals.logdir, std::move(run));
    if (connection) {
      runs.push_back(std::move(*connection));
    } else if (!trouble) {
      trouble = std::move(connection).error();
    }
  }
  if (runs.empty()) return std::unexpected(*std::move(trouble));
  // One of several may just be ending.
  if (trouble) fmt::print(stderr, "headrace: left out: {}\n", trouble->what());
  return runs;
}

Result<std::vector<RunDumps>> runs_having(std::vector<RunConnection> runs,
                                          const std::vector<std::string>& words) {
  std::vector<RunDumps> having;
  std::optional<base::Error> unknown;
  size_t refusals = 0;
  for (RunConnection& run : runs) {
    const auto shown = run.ask({.words = words});
    // A run that was started for some disks knows no others.
    if (!shown && shown.error().kind() == ErrorKind::refused) {
      if (refusals++ == 0) unknown = shown.error();
      continue;
    }
    if (!shown) return std::unexpected(shown.error());
    std::vector<std::string> dumps;
    for (const auto& dump : shown->dumps) {
      if (dump.stand != observe::ControlDump::Stand::over) dumps.insert(dumps.end(), {dump.host, dump.disk});
    }
    if (!dumps.empty()) having.push_back({std::move(run), std::move(dumps)});
  }
  if (refusals == runs.size()) return std::unexpected(*std::move(unknown));
  return having;
}

Result<RunConnection> the_run_of(std::vector<RunConnection> runs, const std::vector<std::string>& words) {
  if (runs.size() == 1) return std::move(runs.front());
  const std::string all = names_of(runs, [](const RunConnection& run) { return run.run.timestamp; });
  if (words.empty())
    return base::fail(ErrorKind::refused,
                      fmt::format("{} runs go on: say which with --run: {}", runs.size(), all));
  auto having = runs_having(std::move(runs), words);
  if (!having) return std::unexpected(std::move(having).error());
  if (having->size() == 1) return std::move(having->front().run);
  if (having->empty()) {
    return base::fail(
        ErrorKind::refused,
        fmt::format("of what was named nothing is dumped any more in any of the runs that go on ({})", all));
  }
  return base::fail(
      ErrorKind::refused,
      fmt::format("{} runs have dumps of what was named: say which with --run: {}", having->size(),
                  names_of(*having, [](const RunDumps& it) { return it.run.run.timestamp; })));
}

}  // namespace headrace::cli
