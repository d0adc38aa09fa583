// The command file: what is still to be done with dumps that exist already (flush from holding disk, copy
// between storages, restore). Shared with Amanda's own tools, hence their format and lock. CommandFile is a
// value (pure); update_command_file touches the file, blocking briefly. Source: observed with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::compat {

enum class CommandKind { flush, copy, restore };

struct Command {
  int64_t id = 0;  // 0: CommandFile::add gives it one
  CommandKind kind = CommandKind::flush;
  std::string config;
  // flush: the holding file. restore: empty when src_label names a volume, else the holding file.
  std::string holding_file{};
  std::string src_storage{}, src_pool{}, src_label{};  // copy, restore
  int64_t src_fileno = 0;
  std::string src_labels{};  // copy: ";LABEL;LABEL…"
  int64_t time = 0;          // copy: start time; restore: expiry; unix seconds
  std::string host, disk, timestamp;
  int level = 0;
  std::string dst_storage{};  // flush, copy
  int64_t working_pid = 0;    // 0: nobody is at it
  bool done = false;
  std::optional<int64_t> partial_bytes{};  // done in part
  bool operator==(const Command&) const = default;
};

class CommandFile {
 public:
  static base::Result<CommandFile> parse(std::string_view text, std::string_view file);
  // Done commands that nobody works on are left out.
  std::string text() const;

  const std::vector<Command>& commands() const { return commands_; }
  std::vector<Command>& commands() { return commands_; }
  // Gives it the next id and returns that.
  int64_t add(Command command);

 private:
  int64_t highest_id_ = 0;
  std::vector<Command> commands_;
};

// A file that does not exist is empty.
base::Result<CommandFile> load_command_file(const std::filesystem::path& file);
// Read, `change`, written in place under an fcntl lock on the file itself. When `change` fails nothing is
// written.
base::Result<CommandFile> update_command_file(const std::filesystem::path& file,
                                              const std::function<base::Result<>(CommandFile&)>& change);

}  // namespace headrace::compat
