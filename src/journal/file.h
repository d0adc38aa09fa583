// The journal of a run as a file: `<logdir>/journal.<timestamp>`, only ever appended to, one write(2) an
// event, so that a crash can tear nothing but the last line. The writer holds a lock on the file for as long
// as it lives: that is how others know whether the run goes on. Blocking file calls, each small; used on the
// loop's thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "journal/event.h"

namespace headrace::journal {

std::filesystem::path path_of(const std::filesystem::path& logdir, const std::string& timestamp);

// Where events go. An interface, so that tests and simulations can keep them in memory.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual base::Result<> append(const Body& body) = 0;
};

class Writer : public Sink {
 public:
  // Refused when the file exists: a run never continues another one's journal. `clock` outlives the writer.
  static base::Result<std::unique_ptr<Writer>> create(const std::filesystem::path& logdir,
                                                      const std::string& timestamp, const base::Clock& clock);

  // Stamps the event and appends it. Times never run backwards within one journal, even when the wall clock
  // is set.
  base::Result<> append(const Body& body) override;
  // fsync(2).
  base::Result<> sync();
  const std::filesystem::path& path() const { return path_; }

 private:
  Writer(std::filesystem::path path, base::Fd fd, const base::Clock& clock);

  std::filesystem::path path_;
  base::Fd fd_;
  const base::Clock& clock_;
  int64_t origin_us_;
  base::Instant origin_;
  bool torn_ = false;  // the last append may have left half a line
};

struct Contents {
  std::vector<Event> events;
  std::vector<std::string> problems;  // lines that could not be read, a sentence each naming file and line
};

inline constexpr size_t kLinesAtOnce = 4096;

// Reads a journal from its start and, asked again, what was appended since.
class Reader {
 public:
  static base::Result<Reader> open(const std::filesystem::path& path);

  // The next lines, at most so many; nothing in it: no further whole line is there (yet). An error is
  // the file's: it cannot be read, or is no journal.
  base::Result<Contents> next(size_t most_lines = kLinesAtOnce);
  // Bytes of a last line without its newline: after the end of the run, the torn trace of a crash.
  size_t torn_bytes() const { return buffer_.size() - taken_; }

 private:
  Reader(std::filesystem::path path, base::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  base::Result<bool> fill();

  std::filesystem::path path_;
  base::Fd fd_;
  std::string buffer_;
  size_t taken_ = 0;
  uint64_t line_ = 0;
};

// The whole journal. A torn last line is one of the problems.
base::Result<Contents> read_all(const std::filesystem::path& path);

// Whether its last line says that the run has finished: for those who want to know nothing else of a run, and
// no whole journal read for it. False also when the last line is torn or of another kind.
base::Result<bool> ends_finished(const std::filesystem::path& path);

// Whether its writer lives (holds the lock).
base::Result<bool> is_being_written(const std::filesystem::path& path);

// Timestamps of the journals in a directory, oldest first; empty when there is none or no directory.
base::Result<std::vector<std::string>> list(const std::filesystem::path& logdir);

}  // namespace headrace::journal
