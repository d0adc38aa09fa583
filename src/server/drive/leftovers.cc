#include "server/drive/leftovers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
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

// What a run says at its beginning, and no more read than that: of itself, and of what it found left.
struct Beginning {
  std::optional<journal::RunStarted> run = {};
  std::set<std::string> told = {};  // of these dead runs
};

Beginning beginning_of(const std::filesystem::path& path) {
  constexpr size_t kFewLines = 16;
  Beginning out;
  auto reader = journal::Reader::open(path);
  while (reader) {
    const auto some = reader->next(kFewLines);
    if (!some || (some->events.empty() && some->problems.empty())) break;
    for (const auto& event : some->events) {
      if (const auto* run = std::get_if<journal::RunStarted>(&event.body)) {
        out.run = *run;
      } else if (const auto* left = std::get_if<journal::LeftoverFound>(&event.body)) {
        if (left->host.empty()) out.told.insert(left->timestamp);
      } else if (!std::holds_alternative<journal::Note>(event.body)) {
        return out;
      }
    }
  }
  return out;
}

void tell_of(const journal::RunState& state, const std::string& timestamp, Leftovers& leftovers) {
  leftovers.found.push_back({fmt::format("the run of {} (process {}) did not finish; {}", timestamp,
                                         state.run.pid, what_was_lost(state)),
                             {},
                             {},
                             timestamp});
  for (const auto& dump : state.dumps) {
    if (dump.attempts.empty() || !was_lost(dump)) continue;
    leftovers.found.push_back(
        {"its run was interrupted", dump.image.host, dump.image.disk, timestamp, dump.image.level});
  }
}

// Runs that began and never ended, with nobody writing their journal: timestamp and process.
std::map<std::string, pid_t> dead_runs(const config::ServerConfig& config, Leftovers& leftovers) {
  std::map<std::string, pid_t> dead;
  auto stamps = journal::list(config.globals.logdir);
  if (!stamps) return dead;
  if (stamps->size() > kJournalsLookedAt) stamps->erase(stamps->begin(), stamps->end() - kJournalsLookedAt);
  std::vector<std::string> unfinished;
  std::set<std::string> told;  // by runs that came later
  for (const auto& stamp : *stamps) {
    const auto path = journal::path_of(config.globals.logdir, stamp);
    told.merge(beginning_of(path).told);
    if (const auto ended = journal::ends_finished(path); !ended || !*ended) unfinished.push_back(stamp);
  }
  for (const auto& stamp : unfinished) {
    const auto path = journal::path_of(config.globals.logdir, stamp);
    if (const auto alive = journal::is_being_written(path); !alive || *alive) continue;
    if (told.contains(stamp)) {
      if (const auto begun = beginning_of(path).run) dead[stamp] = static_cast<pid_t>(begun->pid);
      continue;
    }
    const auto contents = journal::read_all(path);
    if (!contents) continue;
    const auto state = journal::reduce(contents->events);
    if (!state.started || state.finished) continue;
    dead[stamp] = static_cast<pid_t>(state.run.pid);
    tell_of(state, stamp, leftovers);
  }
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
  const bool autoflush = std::ranges::any_of(config.storages_in_use(), [](const config::Storage* storage) {
    return storage->autoflush != config::Autoflush::no;
  });
  for (auto& image : hold::scan(directories).images) {
    if (image.leftover || image.partial) continue;
    if (!autoflush && !dead.contains(image.header.timestamp)) continue;
    if (!claim_all(image, leftovers)) continue;
    leftovers.to_flush.push_back(std::move(image));
  }
  return leftovers;
}

}  // namespace headrace::drive
