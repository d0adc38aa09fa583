// How commands reach the run that goes on: its control socket, and one question at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/journals.h"
#include "cli/server_context.h"
#include "loop/loop.h"
#include "server/observe/control.h"

namespace headrace::cli {

struct RunConnection {
  FoundRun run;
  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<observe::ControlClient> client;

  // Runs the loop until the reply is there.
  base::Result<observe::ControlReply> ask(const observe::ControlRequest& request);
};

// Refused when no run of the configuration goes on, saying when the last one was.
base::Result<RunConnection> connect_to_run(const ServerContext& context);

}  // namespace headrace::cli
