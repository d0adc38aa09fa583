// One run's log file, log.<timestamp>.0, which is also Amanda's catalog of what is on which volume. RunLog
// writes one (owned by the run, used on one thread; each write is short and blocks); parse_run_log reads one.
// Source: observed with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "compat/log_line.h"

namespace headrace::compat {

class RunLog {
 public:
  // Creates `<logdir>/log.<timestamp>.0` exclusively, mode 0600; when one exists, takes the next second that
  // is free. The run must then use timestamp(), which is also that of the volumes it writes. Points
  // `<logdir>/log` at it. Makes logdir when missing.
  static base::Result<RunLog> create(const std::filesystem::path& logdir, std::string_view timestamp14);
  // Goes on writing an existing one (clean-up after a crash).
  static base::Result<RunLog> reopen(const std::filesystem::path& logdir, std::string_view timestamp14);

  const std::string& timestamp() const { return timestamp_; }
  const std::filesystem::path& path() const { return path_; }

  // Appends under a lock on the file; other processes may append too.
  base::Result<> write(const LogLine& line);

 private:
  RunLog(std::filesystem::path path, std::string timestamp)
      : path_(std::move(path)), timestamp_(std::move(timestamp)) {}
  std::filesystem::path path_;
  std::string timestamp_;
};

// A line with its place in the file (from 1).
struct NumberedLine {
  int number = 0;
  LogLine line;
};
struct ParsedLog {
  std::vector<NumberedLine> lines;
  // Lines that made no sense, as "FILE:LINE: why"; they are left out, the rest is good.
  std::vector<std::string> complaints;
};

// Which lines are wanted; the others are not looked at.
enum class LogLines { all, about_images };

// Continuation lines are joined to the line they belong to. Never fails: a log may be cut anywhere.
ParsedLog parse_run_log(std::string_view text, std::string_view file, LogLines wanted = LogLines::all);
base::Result<ParsedLog> load_run_log(const std::filesystem::path& file, LogLines wanted = LogLines::all);

// Processes that said "pid" and not yet "pid-done": none after an orderly end.
struct RunningProgram {
  ProgramName program;
  std::string name;
  int64_t pid = 0;
};
std::vector<RunningProgram> unfinished(std::span<const NumberedLine> lines);

// `log.<timestamp>.<n>`, as well as the old names `log.<timestamp>` and `log.<timestamp>.amflush`.
std::filesystem::path run_log_path(const std::filesystem::path& logdir, std::string_view timestamp);
struct RunLogFile {
  std::filesystem::path path;
  std::string timestamp;
};
// All run logs of a directory, oldest first. A missing directory has none.
base::Result<std::vector<RunLogFile>> list_run_logs(const std::filesystem::path& logdir);

}  // namespace headrace::compat
