#include "server/drive/leftovers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/quote.h"
#include "journal/file.h"
#include "journal/state.h"
#include "server/hold/date_directory.h"

namespace headrace::drive {

namespace {

// How far back unfinished runs are looked for; older ones have been told of by the runs since.
constexpr size_t kJournalsLookedAt = 5;

// Planned, and its run died before an image of it was whole.
bool was_lost(const journal::DumpState& dump) {
  return !dump.ended() && dump.phase != journal::Phase::held && dump.phase != journal::Phase::writing;
}

std::string what_was_lost(const journal::RunState& state) {
  std::string lost;
  size_t count = 0;
  for (const auto& dump : state.dumps) {
    if (!was_lost(dump)) continue;
    if (++count <= 5)
      lost += fmt::format("{}{}:{}", lost.empty() ? "" : ", ", dump.image.host, base::quote(dump.image.disk));
  }
  if (count == 0) return "every dump it had begun was complete";
  if (count > 5) lost += fmt::format(" and {} more", count - 5);
  return fmt::format("not dumped: {}", lost);
}

// Runs that began and never ended, with nobody writing their journal: timestamp and process.
std::map<std::string, pid_t> dead_runs(const config::ServerConfig& config, Leftovers& leftovers) {
  std::map<std::string, pid_t> dead;
  const auto stamps = journal::list(config.globals.logdir);
  if (!stamps) return dead;
  std::vector<journal::LeftoverFound> to_tell;
  std::set<std::string> told;  // by runs that came later
  const size_t first = stamps->size() > kJournalsLookedAt ? stamps->size() - kJournalsLookedAt : 0;
  for (size_t i = first; i < stamps->size(); ++i) {
    const auto path = journal::path_of(config.globals.logdir, (*stamps)[i]);
    const auto contents = journal::read_all(path);
    if (!contents) continue;
    const auto state = journal::reduce(contents->events);
    for (const auto& it : state.leftovers)
      if (it.host.empty()) told.insert(it.timestamp);
    if (!state.started || state.finished) continue;
    if (const auto alive = journal::is_being_written(path); !alive || *alive) continue;
    dead[(*stamps)[i]] = static_cast<pid_t>(state.run.pid);
    to_tell.push_back({fmt::format("the run of {} (process {}) did not finish; {}", (*stamps)[i],
                                   state.run.pid, what_was_lost(state)),
                       {},
                       {},
                       (*stamps)[i]});
    for (const auto& dump : state.dumps) {
      if (dump.attempts.empty() || !was_lost(dump)) continue;
      to_tell.push_back(
          {"its run was interrupted", dump.image.host, dump.image.disk, (*stamps)[i], dump.image.level});
    }
  }
  for (auto& it : to_tell)
    if (!told.contains(it.timestamp)) leftovers.found.push_back(std::move(it));
  return dead;
}

// Takes the date directories of these images for this run, so that no other flushes them; false: another was
// quicker with one of them.
bool claim_all(const hold::Image& image, Leftovers& leftovers) {
  for (const auto& chunk : image.chunks) {
    const auto directory = chunk.parent_path();
    if (std::ranges::find(leftovers.claimed, directory) != leftovers.claimed.end()) continue;
    if (!hold::claim(directory)) return false;
    leftovers.claimed.push_back(directory);
  }
  return true;
}

}  // namespace

Leftovers find_leftovers(const config::ServerConfig& config) {
  Leftovers leftovers;
  const auto dead = dead_runs(config, leftovers);
  for (const auto& [timestamp, pid] : dead) leftovers.dead_runs.insert(timestamp);
  std::vector<std::filesystem::path> directories;
  for (const auto& disk : config.holding_disks) {
    directories.push_back(disk.directory);
    for (const auto& [timestamp, pid] : dead) {
      if (auto disowned = hold::disown(disk.directory / timestamp, pid); !disowned)
        leftovers.found.push_back({disowned.error().what(), {}, {}, {}});
    }
  }
  for (const auto& recovered : hold::recover_leftovers(directories)) {
    leftovers.found.push_back(
        {recovered.text(), recovered.header.host, recovered.header.disk, recovered.header.timestamp});
  }
  const auto autoflush = config.first_storage().autoflush;
  for (auto& image : hold::scan(directories).images) {
    if (image.leftover || image.partial) continue;
    if (autoflush == config::Autoflush::no && !dead.contains(image.header.timestamp)) continue;
    if (!claim_all(image, leftovers)) continue;
    leftovers.to_flush.push_back(std::move(image));
  }
  return leftovers;
}

}  // namespace headrace::drive
