#include "server/drive/recorder.h"

#include <fmt/format.h>

#include <cstdio>

#include "server/drive/log_lines.h"

namespace headrace::drive {

using base::Result;

Result<std::unique_ptr<Recorder>> Recorder::create(const config::ServerConfig& config,
                                                   const base::Clock& clock) {
  const auto& logdir = config.globals.logdir;
  auto log = compat::RunLog::create(logdir, base::timestamp14(clock.wall_seconds()));
  if (!log) return std::unexpected(std::move(log).error().during("beginning the run's log"));
  auto journal = journal::Writer::create(logdir, log->timestamp(), clock);
  if (!journal) return std::unexpected(std::move(journal).error().during("beginning the run's journal"));
  return std::unique_ptr<Recorder>(new Recorder(std::move(*log), std::move(*journal), clock));
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
