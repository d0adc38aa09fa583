#include "cli/report_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/journals.h"
#include "cli/server_context.h"
#include "journal/file.h"
#include "journal/state.h"
#include "server/observe/report.h"

namespace headrace::cli {

int report(const std::string& config, const std::string& timestamp, bool json,
           const std::vector<std::string>& overrides) {
  const auto complain = [](const std::string& what) { fmt::print(stderr, "headrace: {}\n", what); };
  const auto context = load_context(config, overrides, false);
  if (!context) return kExitUsage;
  const auto& globals = context->config.globals;
  auto run = find_run(globals.logdir, timestamp);
  if (!run) {
    complain(run.error().what());
    return kExitUsage;
  }
  if (timestamp.empty())
    if (const auto newer = newer_amanda_run(globals.logdir, run->timestamp); !newer.empty())
      complain("note: " + newer);
  const auto contents = journal::read_all(run->path);
  if (!contents) {
    complain(contents.error().what());
    return kExitUsage;
  }
  const auto state = journal::reduce(contents->events);
  observe::ReportOptions options;
  options.life = observe::life_of(state, run->alive);
  options.unit_kib = globals.displayunit_kib > 0 ? globals.displayunit_kib : 1;
  options.unit = globals.displayunit.empty() ? 'k' : globals.displayunit.front();
  options.autoflush = std::ranges::any_of(
      context->config.storages_in_use(),
      [](const config::Storage* storage) { return storage->autoflush != config::Autoflush::no; });
  if (options.life != observe::Life::running)
    for (const auto& problem : contents->problems) complain(problem);
  const auto text = json ? observe::report_json(state, options) : observe::report_text(state, options);
  fmt::print("{}", text);
  return observe::status_bits_of(state);
}

}  // namespace headrace::cli
