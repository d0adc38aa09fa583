#include "cli/run_connection.h"

#include <fmt/format.h>

#include "server/observe/text.h"

namespace headrace::cli {

using base::Result;
using observe::ControlReply;

Result<ControlReply> RunConnection::ask(const observe::ControlRequest& request) {
  Result<ControlReply> outcome = base::fail(base::ErrorKind::gone, "the run did not answer");
  client->ask(request, [&](Result<ControlReply> reply) {
    outcome = std::move(reply);
    loop->stop();
  });
  loop->run();
  return outcome;
}

Result<RunConnection> connect_to_run(const ServerContext& context) {
  const auto& logdir = context.config.globals.logdir;
  auto run = find_run(logdir, "");
  if (!run) return std::unexpected(std::move(run).error());
  if (!run->alive)
    return base::fail(
        base::ErrorKind::refused,
        fmt::format("no run of {} goes on; the last one began at {} (\"headrace status\" shows it)",
                    context.config.name, observe::readable_timestamp(run->timestamp)));
  RunConnection out{std::move(*run), loop::make_loop(1), nullptr};
  auto client = observe::ControlClient::connect(*out.loop, logdir, out.run.timestamp);
  if (!client) return std::unexpected(std::move(client).error());
  out.client = std::move(*client);
  return out;
}

}  // namespace headrace::cli
