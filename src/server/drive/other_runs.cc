#include "server/drive/other_runs.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <ranges>

#include "base/quote.h"
#include "compat/run_log.h"
#include "journal/file.h"
#include "journal/state.h"

namespace headrace::drive {

namespace {

using base::Result;

constexpr const char* kLockFile = "beginning.lock";
// A run that goes on longer than so many later ones is not looked for.
constexpr size_t kNewestLookedAt = 20;
constexpr size_t kMaxCommandLine = 64 * 1024;

// Nothing: it has ended or died.
std::optional<OtherRun> own_run(const std::filesystem::path& logdir, const std::string& timestamp) {
  const auto path = journal::path_of(logdir, timestamp);
  if (const auto alive = journal::is_being_written(path); !alive || !*alive) return std::nullopt;
  const auto contents = journal::read_all(path);
  if (!contents) return std::nullopt;
  const auto state = journal::reduce(contents->events);
  OtherRun run{timestamp, state.run.pid, state.run.hostname, false, {}};
  for (const auto& dump : state.dumps) {
    if (!dump.flush && !dump.ended()) run.disks.emplace(dump.image.host, dump.image.disk);
  }
  return run;
}

// A process of that number whose command line has the name in it: the script of an interpreter, too.
bool is_alive(const compat::RunningProgram& program) {
  const auto pid = static_cast<pid_t>(program.pid);
  if (pid <= 0 || pid == ::getpid()) return false;
  if (::kill(pid, 0) != 0 && errno == ESRCH) return false;
  const auto words = base::read_file(fmt::format("/proc/{}/cmdline", pid), kMaxCommandLine);
  return words && words->find(program.name) != std::string::npos;
}

std::optional<OtherRun> amandas_run(const compat::RunLogFile& file) {
  const auto log = compat::load_run_log(file.path);
  if (!log) return std::nullopt;
  const auto programs = compat::unfinished(log->lines);
  const auto alive = std::ranges::find_if(programs, is_alive);
  if (alive == programs.end()) return std::nullopt;
  OtherRun run{file.timestamp, alive->pid, {}, true, {}};
  for (const auto& [number, line] : log->lines) {
    if (const auto* disk = std::get_if<compat::DiskLine>(&line); disk != nullptr) {
      // A run of amflush lists disks without dumping them.
      if (disk->program == compat::ProgramName("planner")) run.disks.emplace(disk->host, disk->disk);
    } else if (const auto* name = std::get_if<compat::HostnameLine>(&line); name != nullptr) {
      run.hostname = name->hostname;
    }
  }
  return run;
}

}  // namespace

std::string OtherRun::text() const {
  return fmt::format("{}run of {} (process {}{}{})", amanda ? "Amanda's " : "the ", timestamp, pid,
                     hostname.empty() ? "" : " on ", hostname);
}

std::vector<TakenDisk> OtherRuns::taken(std::span<const config::DiskListEntry> disks) const {
  std::vector<TakenDisk> out;
  for (const auto& disk : disks) {
    const auto holder = std::ranges::find_if(
        runs, [&disk](const OtherRun& run) { return run.disks.contains({disk.host, disk.disk}); });
    if (holder == runs.end()) continue;
    out.push_back({disk.host, disk.disk, fmt::format("{} has it, and has not done with it", holder->text())});
  }
  return out;
}

Result<OtherRuns> find_other_runs(const config::ServerConfig& config, int patience_ms) {
  const auto& logdir = config.globals.logdir;
  if (auto made = base::make_directories(logdir, 0700); !made) return std::unexpected(made.error());
  auto lock = base::FileLock::take(logdir / kLockFile, patience_ms);
  if (!lock) return std::unexpected(std::move(lock).error().during("looking for other runs"));
  OtherRuns found{std::move(*lock), {}};
  const auto stamps = journal::list(logdir);
  if (!stamps) return std::unexpected(stamps.error());
  for (const auto& stamp : *stamps | std::views::reverse | std::views::take(kNewestLookedAt)) {
    if (auto run = own_run(logdir, stamp)) found.runs.push_back(std::move(*run));
  }
  const auto logs = compat::list_run_logs(logdir);
  if (!logs) return std::unexpected(logs.error());
  for (const auto& log : *logs | std::views::reverse | std::views::take(kNewestLookedAt)) {
    if (std::ranges::binary_search(*stamps, log.timestamp)) continue;
    if (auto run = amandas_run(log)) found.runs.push_back(std::move(*run));
  }
  return found;
}

}  // namespace headrace::drive
