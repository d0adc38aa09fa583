// How commands reach the runs that go on: their control sockets, and one question at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

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

// Of all the runs of the configuration that go on, newest first; with `wanted` (a timestamp or its beginning)
// the one of that name alone. Not empty. Refused when there is none, saying when the last one was, or when
// `wanted` names several. One of several that cannot be reached is left out, which is said on stderr.
base::Result<std::vector<RunConnection>> connect_to_runs(const ServerContext& context,
                                                         const std::string& wanted);

// The only one of `runs`, or of several the only one with a dump that `words` (HOST [DISK…] …) name and that
// is not over. Refused when it is none or not the only one, naming them.
base::Result<RunConnection> the_run_of(std::vector<RunConnection> runs,
                                       const std::vector<std::string>& words);

// What one run has of the dumps that `words` name: those that are not over.
struct RunDumps {
  RunConnection run;
  std::vector<std::string> dumps;  // host and disk by turns, by their names; not empty
};
// Of each run that has such. An error when none knows what is named.
base::Result<std::vector<RunDumps>> runs_having(std::vector<RunConnection> runs,
                                                const std::vector<std::string>& words);

}  // namespace headrace::cli
