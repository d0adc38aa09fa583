#include "cli/journals.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <system_error>

namespace headrace::cli {
namespace {

// Timestamps of Amanda's run logs (log.TIMESTAMP.N), unsorted. A directory that cannot be listed has none.
std::vector<std::string> amanda_logs(const std::filesystem::path& logdir) {
  std::vector<std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(logdir, error);
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    if (!name.starts_with("log.") || name.size() < 19 || name[18] != '.') continue;
    const std::string stamp = name.substr(4, 14);
    if (std::ranges::all_of(stamp, [](char c) { return c >= '0' && c <= '9'; })) found.push_back(stamp);
  }
  return found;
}

base::Result<FoundRun> open_run(const std::filesystem::path& logdir, const std::string& timestamp) {
  FoundRun run{journal::path_of(logdir, timestamp), timestamp, false};
  auto alive = journal::is_being_written(run.path);
  if (!alive) return std::unexpected(std::move(alive.error()));
  run.alive = *alive;
  return run;
}

std::string known_runs(const std::vector<std::string>& stamps) {
  constexpr size_t kNamed = 5;
  std::string out;
  for (const auto& stamp : stamps | std::views::reverse | std::views::take(kNamed))
    out += (out.empty() ? "" : ", ") + stamp;
  return out + (stamps.size() > kNamed ? ", …" : "");
}

}  // namespace

std::string newer_amanda_run(const std::filesystem::path& logdir, const std::string& timestamp) {
  std::string newest = timestamp;
  for (const auto& stamp : amanda_logs(logdir)) newest = std::max(newest, stamp);
  if (newest == timestamp) return {};
  return fmt::format("{} has the log of a run that Amanda made ({}); amreport and amstatus show it",
                     logdir.native(), newest);
}

base::Result<FoundRun> find_run(const std::filesystem::path& logdir, const std::string& wanted) {
  auto stamps = journal::list(logdir);
  if (!stamps) return std::unexpected(std::move(stamps.error()));
  if (stamps->empty()) {
    const auto amanda = newer_amanda_run(logdir, "");
    return base::fail(base::ErrorKind::refused,
                      fmt::format("no run of headrace is recorded in {}{}", logdir.native(),
                                  amanda.empty() ? "; \"headrace dump\" makes one" : ", but " + amanda));
  }
  if (!wanted.empty()) {
    for (const auto& stamp : *stamps | std::views::reverse)
      if (stamp.starts_with(wanted)) return open_run(logdir, stamp);
    return base::fail(base::ErrorKind::refused, fmt::format("no run {} is recorded in {}; the newest are {}",
                                                            wanted, logdir.native(), known_runs(*stamps)));
  }
  // Two runs of a configuration may overlap, and the older one may be the one that still goes on.
  if (auto alive = living_runs(logdir); alive && !alive->empty()) return std::move(alive->front());
  return open_run(logdir, stamps->back());
}

base::Result<std::vector<FoundRun>> living_runs(const std::filesystem::path& logdir) {
  constexpr size_t kLookedAt = 10;
  const auto stamps = journal::list(logdir);
  if (!stamps) return std::unexpected(stamps.error());
  std::vector<FoundRun> alive;
  for (const auto& stamp : *stamps | std::views::reverse | std::views::take(kLookedAt)) {
    auto run = open_run(logdir, stamp);
    if (run && run->alive) alive.push_back(std::move(*run));
  }
  return alive;
}

}  // namespace headrace::cli
