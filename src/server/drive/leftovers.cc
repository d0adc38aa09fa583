#include "server/drive/leftovers.h"

#include <fmt/format.h>

#include <set>

#include "base/quote.h"
#include "journal/file.h"
#include "journal/state.h"

namespace headrace::drive {

namespace {

// How far back unfinished runs are looked for; older ones have been told of by the runs since.
constexpr size_t kJournalsLookedAt = 5;

std::string what_was_lost(const journal::RunState& state) {
  std::string lost;
  size_t count = 0;
  for (const auto& dump : state.dumps) {
    if (dump.ended() || dump.phase == journal::Phase::held || dump.phase == journal::Phase::writing) continue;
    if (++count <= 5)
      lost += fmt::format("{}{}:{}", lost.empty() ? "" : ", ", dump.image.host, base::quote(dump.image.disk));
  }
  if (count == 0) return "every dump it had begun was complete";
  if (count > 5) lost += fmt::format(" and {} more", count - 5);
  return fmt::format("not dumped: {}", lost);
}

// Timestamps of runs that began and never ended, with nobody writing their journal.
std::set<std::string> dead_runs(const config::ServerConfig& config, Leftovers& leftovers) {
  std::set<std::string> dead;
  auto stamps = journal::list(config.globals.logdir);
  if (!stamps) return dead;
  const size_t first = stamps->size() > kJournalsLookedAt ? stamps->size() - kJournalsLookedAt : 0;
  for (size_t i = first; i < stamps->size(); ++i) {
    const auto path = journal::path_of(config.globals.logdir, (*stamps)[i]);
    auto contents = journal::read_all(path);
    if (!contents) continue;
    const auto state = journal::reduce(contents->events);
    if (!state.started || state.finished) continue;
    if (auto alive = journal::is_being_written(path); !alive || *alive) continue;
    dead.insert((*stamps)[i]);
    // Told once, by the run right after it.
    if (i + 1 != stamps->size()) continue;
    leftovers.found.push_back({fmt::format("the run of {} (process {}) did not finish; {}", (*stamps)[i],
                                           state.run.pid, what_was_lost(state)),
                               {},
                               {},
                               (*stamps)[i]});
  }
  return dead;
}

}  // namespace

Leftovers find_leftovers(const config::ServerConfig& config) {
  Leftovers leftovers;
  const auto dead = dead_runs(config, leftovers);
  std::vector<std::filesystem::path> directories;
  for (const auto& disk : config.holding_disks) directories.push_back(disk.directory);
  for (const auto& recovered : hold::recover_leftovers(directories)) {
    leftovers.found.push_back(
        {recovered.text(), recovered.header.host, recovered.header.disk, recovered.header.timestamp});
  }
  const auto autoflush = config.first_storage().autoflush;
  for (auto& image : hold::scan(directories).images) {
    if (image.leftover || image.partial) continue;
    if (autoflush == config::Autoflush::no && !dead.contains(image.header.timestamp)) continue;
    leftovers.to_flush.push_back(std::move(image));
  }
  return leftovers;
}

}  // namespace headrace::drive
