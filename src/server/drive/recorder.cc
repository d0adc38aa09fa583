#include "server/drive/recorder.h"

#include <fmt/format.h>

#include <cstdio>

#include "server/drive/log_lines.h"

namespace headrace::drive {

using base::Result;

namespace {

// Of all runs that left a log or a journal; empty: none.
Result<std::string> newest_run(const std::filesystem::path& logdir) {
  const auto stamps = journal::list(logdir);
  if (!stamps) return std::unexpected(stamps.error());
  const auto logs = compat::list_run_logs(logdir);
  if (!logs) return std::unexpected(logs.error());
  std::string newest;
  // Names that are no moment count for nothing.
  const auto count = [&newest](const std::string& stamp) {
    if (stamp > newest && base::unix_of_timestamp(stamp) != 0) newest = stamp;
  };
  for (const auto& stamp : *stamps) count(stamp);
  for (const auto& log : *logs) count(log.timestamp);
  return newest;
}

struct Name {
  std::string timestamp;
  std::string trouble;
};

// Unique, and later than that of every run before.
Result<Name> name_of_run(const std::filesystem::path& logdir, int64_t now) {
  const auto newest = newest_run(logdir);
  if (!newest) return std::unexpected(newest.error());
  const std::string by_clock = base::timestamp14(now);
  if (*newest < by_clock) return Name{by_clock, {}};
  const int64_t before = base::unix_of_timestamp(*newest);
  if (before - now > kMostPutBack.count())
    return base::fail(
        base::ErrorKind::refused,
        fmt::format("the clock says {}, but {} has a run of {}; a dump that seems older than the one it "
                    "builds on could not be restored. Set the clock. If it was wrong at that run, move its "
                    "files (log.{}.0, journal.{}) out of the directory, take its volumes out of the tapelist "
                    "(amrmtape), and ask for new fulls (headrace admin CONFIG force HOST)",
                    by_clock, logdir.native(), *newest, *newest, *newest));
  Name name{*newest, {}};
  for (int64_t moment = before; name.timestamp <= *newest; ++moment)
    name.timestamp = base::timestamp14(moment);
  if (before > now)
    name.trouble = fmt::format(
        "the clock says {}, before the last run ({}): it was put back; this run is "
        "called {}, so that its dumps come after that run's",
        by_clock, *newest, name.timestamp);
  return name;
}

}  // namespace

Result<std::unique_ptr<Recorder>> Recorder::create(const config::ServerConfig& config,
                                                   const base::Clock& clock) {
  const auto& logdir = config.globals.logdir;
  auto name = name_of_run(logdir, clock.wall_seconds());
  if (!name) return std::unexpected(std::move(name).error().during("naming the run"));
  auto log = compat::RunLog::create(logdir, name->timestamp);
  if (!log) return std::unexpected(std::move(log).error().during("beginning the run's log"));
  auto journal = journal::Writer::create(logdir, log->timestamp(), clock);
  if (!journal) return std::unexpected(std::move(journal).error().during("beginning the run's journal"));
  std::unique_ptr<Recorder> recorder(new Recorder(std::move(*log), std::move(*journal), clock));
  recorder->clock_trouble_ = std::move(name->trouble);
  return recorder;
}

void Recorder::note_failure(const base::Error& error) {
  if (!failure_.empty()) return;
  failure_ = error.what();
  fmt::print(stderr, "headrace: the run's log is incomplete from here on: {}\n", failure_);
}

void Recorder::record(const journal::Body& body) {
  for (const auto& line : log_lines(body, reduction_.state())) {
    if (auto written = log_.write(line); !written) note_failure(written.error());
  }
  if (auto appended = journal_->append(body); !appended) note_failure(appended.error());
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::seconds(clock_.wall_seconds()));
  reduction_.apply({now.count(), body});
  if (watcher_) watcher_(body);
}

}  // namespace headrace::drive
