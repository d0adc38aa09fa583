#include "cli/night_context.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "auth/connect.h"
#include "base/clock.h"
#include "loop/signals.h"
#include "server/hold/holding_disks.h"
#include "server/observe/text.h"

namespace headrace::cli {
namespace {

constexpr unsigned kWorkers = 2;

bool is_timestamp(const std::string& text) {
  return (text.size() == 8 || text.size() == 14) && base::unix_of_timestamp(text) != 0;
}

// False: interrupted.
bool ask_clients(const ServerContext& context, const drive::Night& night, drive::Answers& answers) {
  auto loop = loop::make_loop(kWorkers);
  auth::NetConnector connector(*loop);
  auto wishes = drive::wishes_of(night);
  size_t left = 0;
  for (const auto& wish : wishes) left += wish.levels.size();
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const auto tell = [&left, terminal] {
    if (terminal) fmt::print(stderr, "\rwaiting for {}\x1b[K", observe::count_of(left, "estimate"));
  };
  drive::Estimates estimates(*loop, connector, context.config, night.inputs.timestamp, std::move(wishes));
  bool interrupted = false;
  const auto signals = loop::on_signals(*loop, {SIGINT, SIGTERM}, [&](int) {
    interrupted = true;
    loop->stop();
  });
  tell();
  estimates.start(
      [&](const drive::EstimateAnswer& answer) {
        answers.take(answer);
        --left;
        tell();
      },
      [&](drive::HostOutcomes hosts) {
        answers.take(hosts);
        loop->stop();
      });
  loop->run();
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  return !interrupted;
}

}  // namespace

std::unique_ptr<NightContext> load_night(const std::string& config, const std::vector<std::string>& overrides,
                                         const std::vector<std::string>& disks, const std::string& at,
                                         bool ask) {
  if (!at.empty() && !is_timestamp(at)) {
    fmt::print(stderr, "headrace: --at {}: a date is 20261123, a time 20261123013000\n", at);
    return nullptr;
  }
  auto server = load_context(config, overrides, true);
  if (!server) return nullptr;
  auto chosen = select_disks(server->disks, disks);
  if (!chosen) return nullptr;
  auto timestamp = at.empty() ? base::timestamp14(base::SystemClock().wall_seconds()) : at;
  timestamp.resize(14, '0');
  hold::HoldingDisks holding(server->config.holding_disks);
  for (const auto& problem : holding.measure(hold::statvfs_free_kib))
    fmt::print(stderr, "headrace: {}\n", problem);
  auto context = std::make_unique<NightContext>();
  context->server = std::move(*server);
  context->night = drive::begin_night(context->server.config, std::move(*chosen),
                                      disks.empty() ? drive::Disks::all : drive::Disks::selected, timestamp,
                                      holding.total_kib());
  for (const auto& warning : context->night.warnings) fmt::print(stderr, "headrace: {}\n", warning);
  context->answers.emplace(context->night);
  if (ask && !ask_clients(context->server, context->night, *context->answers)) {
    fmt::print(stderr, "headrace: interrupted\n");
    return nullptr;
  }
  return context;
}

}  // namespace headrace::cli
