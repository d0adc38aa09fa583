// Writes what happens in a run: each event goes to the journal, as lines to Amanda's run log (which is also
// the catalog that its tools read), into the reduced state, and to whoever watches. Owned by the run;
// blocking but small writes, on the loop's thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "compat/run_log.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "journal/file.h"
#include "journal/state.h"

namespace headrace::drive {

// An hour of summer time, and what a clock that runs badly may be put back by.
inline constexpr std::chrono::seconds kMostPutBack = std::chrono::hours(25);

class Recorder {
 public:
  // Creates both files; the run's timestamp is then timestamp(): now, or later than that of every run before,
  // when the clock was put back a little since (the end of summer time). Refused when it was put back further
  // (kMostPutBack): dumps that seem older than what they build on cannot be restored in their order.
  static base::Result<std::unique_ptr<Recorder>> create(const config::ServerConfig& config,
                                                        const base::Clock& clock);

  const std::string& timestamp() const { return log_.timestamp(); }
  const journal::RunState& state() const { return reduction_.state(); }

  // Never fails towards the caller: a disk that takes no more log must not end the dumps. The first failure
  // is kept for the run's exit status and printed.
  void record(const journal::Body& body);
  void watch(std::move_only_function<void(const journal::Body&)> watcher) { watcher_ = std::move(watcher); }
  const std::string& failure() const { return failure_; }
  // A sentence for the report when timestamp() is not the clock's.
  const std::string& clock_trouble() const { return clock_trouble_; }
  // Amanda's run log, which names what is on which volume.
  const std::filesystem::path& log_path() const { return log_.path(); }

 private:
  Recorder(compat::RunLog log, std::unique_ptr<journal::Writer> journal, const base::Clock& clock)
      : log_(std::move(log)), journal_(std::move(journal)), clock_(clock) {}
  void note_failure(const base::Error& error);

  compat::RunLog log_;
  std::unique_ptr<journal::Writer> journal_;
  const base::Clock& clock_;
  journal::Reduction reduction_;
  std::move_only_function<void(const journal::Body&)> watcher_;
  std::string failure_;
  std::string clock_trouble_;
};

}  // namespace headrace::drive
