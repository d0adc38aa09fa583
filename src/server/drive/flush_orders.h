// The command file's word on images on holding disk: which storages are still to get them. Amanda's driver
// and amflush, and the next run, complete what is ordered there; without an order amdump knows of the first
// storage alone. Owned by the runner; loop thread. Writing happens on a lane, changes that come meanwhile
// together. Source: observed with Amanda 3.5.1's driver, planner and amflush.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/alive.h"
#include "compat/command_file.h"
#include "config/server_config.h"
#include "journal/event.h"
#include "loop/loop.h"

namespace headrace::drive {

// The storages that the orders for this holding file name; nothing: there are none for it.
std::optional<std::vector<std::string>> ordered_storages(const compat::CommandFile& commands,
                                                         const std::string& config,
                                                         const std::filesystem::path& file);

class FlushOrders {
 public:
  // `log` is the run's: its word about a volume is on the medium before an order goes. `trouble` hears a
  // sentence when the file cannot be read or written; the run goes on without it.
  FlushOrders(loop::Loop& loop, const config::ServerConfig& config, std::filesystem::path log,
              std::move_only_function<void(std::string)> trouble);

  // At the start; blocking. Orders for files that are gone are dropped.
  void load();
  // Of orders that were there at the start.
  std::optional<std::vector<std::string>> storages_of(const std::filesystem::path& file) const;

  // Orders the image for these, unless it is ordered already. From now on this process works at it.
  void add(const journal::ImageId& image, const std::filesystem::path& file,
           const std::vector<std::string>& storages);
  // The storage has it.
  void done(const std::filesystem::path& file, const std::string& storage);
  // Nobody works at what is still ordered; `then` is called when all is written.
  void let_go(std::move_only_function<void()> then);

 private:
  struct Change {
    enum class Kind { add, done, let_go } kind = Kind::add;
    compat::Command command = {};
  };
  void change(Change it);
  void write_next();

  loop::Loop& loop_;
  const config::ServerConfig& config_;
  std::filesystem::path log_;
  std::move_only_function<void(std::string)> trouble_;
  compat::CommandFile found_;
  std::set<std::pair<std::string, std::string>> orders_;  // file and storage, of this configuration
  std::vector<Change> waiting_;
  uint64_t lane_;
  bool writing_ = false;
  std::move_only_function<void()> then_;
  base::Alive alive_;
};

}  // namespace headrace::drive
