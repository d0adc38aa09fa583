#include "compat/command_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "compat/parse_words.h"

namespace headrace::compat {
namespace {

using base::ErrorKind;
using base::Result;

constexpr int kLockPatienceMs = 10000;
constexpr size_t kMaxFileBytes = size_t{64} << 20U;
// Beyond it a counter that only ever grows by one cannot have come.
constexpr int64_t kMaxId = int64_t{1} << 53U;
constexpr std::string_view kWorking = "WORKING:";
constexpr std::string_view kPartial = "PARTIAL:";

// The words of one command, taken in order; remembers whether all made sense.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  std::string text() {
    const std::string_view word = base::take_word(rest_);
    if (word.empty()) good_ = false;
    return base::unquote(word);
  }
  template <class Number>
  Number number() {
    const auto value = number_of<Number>(base::take_word(rest_));
    if (!value) good_ = false;
    return value.value_or(Number{});
  }
  void fail() { good_ = false; }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

void parse_dump(Words& words, Command& command) {
  command.host = words.text();
  command.disk = words.text();
  command.timestamp = words.text();
  command.level = words.number<int>();
}

void parse_status(Words& words, Command& command) {
  const std::string working = words.text();
  const auto pid = working.starts_with(kWorking)
                       ? number_of<int64_t>(std::string_view(working).substr(kWorking.size()))
                       : std::nullopt;
  if (!pid) words.fail();
  command.working_pid = pid.value_or(0);
  const std::string status = words.text();
  if (status == "DONE") {
    command.done = true;
  } else if (status.starts_with(kPartial)) {
    command.partial_bytes = number_of<int64_t>(std::string_view(status).substr(kPartial.size()));
    if (!command.partial_bytes) words.fail();
  } else if (status != "TODO") {
    words.fail();
  }
}

bool parse_command(std::string_view line, Command& command) {
  Words words(line);
  command.id = words.number<int64_t>();
  const std::string kind = words.text();
  command.config = words.text();
  if (kind == "FLUSH") {
    command.kind = CommandKind::flush;
    command.holding_file = words.text();
    parse_dump(words, command);
    command.dst_storage = words.text();
  } else if (kind == "COPY" || kind == "RESTORE") {
    command.kind = kind == "COPY" ? CommandKind::copy : CommandKind::restore;
    command.src_storage = words.text();
    command.src_pool = words.text();
    command.src_label = words.text();
    command.src_fileno = words.number<int64_t>();
    if (command.kind == CommandKind::copy) command.src_labels = words.text();
    command.time = words.number<int64_t>();
    parse_dump(words, command);
    if (command.kind == CommandKind::copy) command.dst_storage = words.text();
    if (command.kind == CommandKind::restore && command.src_label.starts_with('/')) {
      command.holding_file = std::exchange(command.src_label, {});
    }
  } else {
    return false;
  }
  parse_status(words, command);
  return words.good();
}

std::string line_of(const Command& c) {
  using base::quote;
  const std::string dump =
      fmt::format("{} {} {} {}", quote(c.host), quote(c.disk), quote(c.timestamp), c.level);
  std::string line = fmt::format("{} ", c.id);
  switch (c.kind) {
    case CommandKind::flush:
      line += fmt::format("FLUSH {} {} {} {}", quote(c.config), quote(c.holding_file), dump,
                          quote(c.dst_storage));
      break;
    case CommandKind::copy:
      line += fmt::format("COPY {} {} {} {} {} {} {} {} {}", quote(c.config), quote(c.src_storage),
                          quote(c.src_pool), quote(c.src_label), c.src_fileno,
                          base::quote_always(c.src_labels), c.time, dump, quote(c.dst_storage));
      break;
    case CommandKind::restore:
      line += fmt::format("RESTORE {} {} {} {} {} {} {}", quote(c.config), quote(c.src_storage),
                          quote(c.src_pool), quote(c.holding_file.empty() ? c.src_label : c.holding_file),
                          c.src_fileno, c.time, dump);
      break;
  }
  line += fmt::format(" {}{} ", kWorking, c.working_pid);
  if (c.done) return line + "DONE\n";
  return c.partial_bytes ? line + fmt::format("{}{}\n", kPartial, *c.partial_bytes) : line + "TODO\n";
}

// Through the locked descriptor only: closing another one of the same file would drop the lock.
Result<std::string> read_through(int fd, const std::string& name) {
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t n = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::fail_errno("read " + name);
    if (n == 0) return text;
    if (text.size() > kMaxFileBytes) return base::fail(ErrorKind::corrupt, name + ": absurdly large");
    text.append(buffer, static_cast<size_t>(n));
  }
}

Result<> write_through(int fd, const std::string& text, const std::string& name) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return base::fail_errno("seek in " + name);
  if (auto written = base::write_all(fd, text, name); !written) return written;
  if (::ftruncate(fd, static_cast<off_t>(text.size())) != 0) return base::fail_errno("cut " + name);
  if (::fsync(fd) != 0) return base::fail_errno("fsync " + name);
  return {};
}

}  // namespace

Result<CommandFile> CommandFile::parse(std::string_view text, std::string_view file) {
  CommandFile commands;
  int number = 0;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (line == "VERSION 1") continue;
    if (line.starts_with("ID ")) {
      const auto id = number_of<int64_t>(line.substr(3));
      if (!id || *id < 0 || *id > kMaxId) return bad_line(file, number, "expected a number after ID");
      commands.highest_id_ = std::max(commands.highest_id_, *id);
      continue;
    }
    Command command;
    if (!parse_command(line, command) || command.id < 0 || command.id > kMaxId)
      return bad_line(file, number, "is no command we know");
    commands.highest_id_ = std::max(commands.highest_id_, command.id);
    commands.commands_.push_back(std::move(command));
  }
  return commands;
}

std::string CommandFile::text() const {
  std::string text = fmt::format("VERSION 1\nID {}\n", highest_id_);
  for (const Command& command : commands_) {
    if (command.done && command.working_pid == 0) continue;
    text += line_of(command);
  }
  return text;
}

int64_t CommandFile::add(Command command) {
  command.id = ++highest_id_;
  commands_.push_back(std::move(command));
  return highest_id_;
}

Result<CommandFile> load_command_file(const std::filesystem::path& file) {
  auto text = base::read_file(file);
  if (!text) {
    if (text.error().sys_errno() == ENOENT) return CommandFile{};
    return std::unexpected(std::move(text.error()));
  }
  return CommandFile::parse(*text, file.string());
}

Result<CommandFile> update_command_file(const std::filesystem::path& file,
                                        const std::function<Result<>(CommandFile&)>& change) {
  // Written over in place, not renamed: Amanda's tools lock this very file.
  auto lock = base::FileLock::take(file, kLockPatienceMs);
  if (!lock) return std::unexpected(std::move(lock.error()));
  auto text = read_through(lock->descriptor(), file.string());
  if (!text) return std::unexpected(std::move(text.error()));
  auto commands = CommandFile::parse(*text, file.string());
  if (!commands) return commands;
  if (auto changed = change(*commands); !changed) return std::unexpected(std::move(changed.error()));
  if (auto written = write_through(lock->descriptor(), commands->text(), file.string()); !written) {
    return std::unexpected(std::move(written.error()));
  }
  return commands;
}

}  // namespace headrace::compat
