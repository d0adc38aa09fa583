#include "compat/run_log.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "compat/parse_words.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;

constexpr int kMostSecondsTried = 3600;
constexpr size_t kMaxLogBytes = size_t{1} << 30U;
// A client may send any number of messages; a report shows a few dozen.
constexpr size_t kMaxContinuationLines = 10000;

// `<logdir>/log` names the current or last run, relatively, so that the directory may be moved.
Result<> point_at(const fs::path& logdir, const fs::path& target) {
  // A name of this run's own: two runs may begin at once.
  fs::path fresh = target;
  fresh += ".link";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return base::fail_errno("remove " + fresh.string());
  if (::symlink(target.filename().c_str(), fresh.c_str()) != 0) {
    return base::fail_errno("make the link " + fresh.string());
  }
  return base::rename_file(fresh, logdir / "log");
}

std::vector<std::string>* messages_of(LogLine& line) {
  if (auto* fail = std::get_if<FailLine>(&line)) return &fail->messages;
  if (auto* dumped = std::get_if<DumpedLine>(&line)) return &dumped->messages;
  if (auto* note = std::get_if<NoteLine>(&line)) return &note->messages;
  return nullptr;
}

// The timestamp in "log.<timestamp>[.<n>|.amflush]"; empty for any other name.
std::string_view log_timestamp(std::string_view name) {
  constexpr std::string_view kLog = "log.";
  if (!name.starts_with(kLog)) return {};
  name.remove_prefix(kLog.size());
  const size_t dot = name.find('.');
  const std::string_view stamp = name.substr(0, dot);
  if (!all_digits(stamp) || (stamp.size() != 8 && stamp.size() != 14)) return {};
  const std::string_view suffix = dot == std::string_view::npos ? "0" : name.substr(dot + 1);
  return all_digits(suffix) || suffix == "amflush" ? stamp : std::string_view{};
}

}  // namespace

fs::path run_log_path(const fs::path& logdir, std::string_view timestamp) {
  return logdir / ("log." + std::string(timestamp) + ".0");
}

Result<RunLog> RunLog::create(const fs::path& logdir, std::string_view timestamp14) {
  std::string stamp(timestamp14);
  int64_t moment = base::unix_of_timestamp(stamp);
  if (moment == 0 || stamp.size() != 14) {
    return base::fail(ErrorKind::refused, "\"" + stamp + "\" is not a timestamp of 14 digits");
  }
  if (auto made = base::make_directories(logdir, 0700); !made) return std::unexpected(made.error());
  for (int tries = 0; tries < kMostSecondsTried; ++tries) {
    const fs::path path = run_log_path(logdir, stamp);
    auto file = base::create_file(path, 0600, true);
    if (file) {
      if (auto linked = point_at(logdir, path); !linked) return std::unexpected(linked.error());
      return RunLog(path, stamp);
    }
    if (file.error().sys_errno() != EEXIST) return std::unexpected(std::move(file.error()));
    // Two moments may have one name when clocks go back an hour; the name must move on regardless.
    std::string next = stamp;
    while (next <= stamp) next = base::timestamp14(++moment);
    stamp = std::move(next);
  }
  return base::fail(ErrorKind::refused, "no free name for a run log from log." + std::string(timestamp14) +
                                            ".0 on in " + logdir.string());
}

Result<RunLog> RunLog::reopen(const fs::path& logdir, std::string_view timestamp14) {
  fs::path path = run_log_path(logdir, timestamp14);
  std::error_code code;
  if (!fs::is_regular_file(path, code)) {
    return base::fail(ErrorKind::refused, path.string() + " is not there to be continued");
  }
  return RunLog(std::move(path), std::string(timestamp14));
}

Result<> RunLog::write(const LogLine& line) { return base::append_locked(path_, format(line), 0600); }

ParsedLog parse_run_log(std::string_view text, std::string_view file, LogLines wanted) {
  ParsedLog log;
  // About images is less than every second line.
  const auto lines = static_cast<size_t>(std::ranges::count(text, '\n'));
  log.lines.reserve(wanted == LogLines::all ? lines : lines / 2);
  int number = 0;
  bool left_out = false;  // the line before, and so what continues it
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (line.starts_with("  ")) {
      if (log.lines.empty() || left_out) continue;
      auto* messages = messages_of(log.lines.back().line);
      if (messages != nullptr && messages->size() < kMaxContinuationLines) {
        messages->emplace_back(line.substr(2));
      }
      continue;
    }
    left_out = wanted == LogLines::about_images && !is_about_images(line);
    if (left_out) continue;
    auto parsed = parse_log_line(line);
    left_out = !parsed;
    if (parsed) {
      log.lines.push_back({.number = number, .line = *std::move(parsed)});
    } else {
      log.complaints.push_back(bad_line(file, number, parsed.error().what()).error().what());
    }
  }
  return log;
}

Result<ParsedLog> load_run_log(const fs::path& file, LogLines wanted) {
  auto text = base::read_file(file, kMaxLogBytes);
  if (!text) return std::unexpected(std::move(text.error()));
  return parse_run_log(*text, file.string(), wanted);
}

std::vector<RunningProgram> unfinished(std::span<const NumberedLine> lines) {
  std::vector<RunningProgram> running;
  for (const NumberedLine& numbered : lines) {
    if (const auto* started = std::get_if<PidLine>(&numbered.line)) {
      running.push_back({.program = started->program, .name = started->name, .pid = started->pid});
    } else if (const auto* done = std::get_if<PidDoneLine>(&numbered.line)) {
      // The program that says so may be another than the one that started (a filter's parent).
      std::erase_if(running, [&](const RunningProgram& program) { return program.pid == done->pid; });
    }
  }
  return running;
}

Result<std::vector<RunLogFile>> list_run_logs(const fs::path& logdir) {
  std::vector<RunLogFile> logs;
  std::error_code code;
  fs::directory_iterator entries(logdir, code);
  if (code == std::errc::no_such_file_or_directory) return logs;
  while (!code && entries != fs::directory_iterator()) {
    const std::string name = entries->path().filename().string();
    if (const auto stamp = log_timestamp(name); !stamp.empty()) {
      logs.push_back({.path = entries->path(), .timestamp = std::string(stamp)});
    }
    entries.increment(code);
  }
  if (code) return base::fail_errno("read the directory " + logdir.string(), code.value());
  std::ranges::sort(logs, {}, [](const RunLogFile& log) { return std::pair(log.timestamp, log.path); });
  return logs;
}

}  // namespace headrace::compat
