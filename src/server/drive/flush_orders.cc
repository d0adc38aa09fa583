#include "server/drive/flush_orders.h"

#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/file.h"

namespace headrace::drive {

using base::Result;
using compat::Command;
using compat::CommandFile;
using compat::CommandKind;

namespace {

bool is_order(const Command& it, const std::string& config) {
  return it.kind == CommandKind::flush && it.config == config && !it.done;
}

bool same_order(const Command& a, const Command& b) {
  return is_order(a, b.config) && a.holding_file == b.holding_file && a.dst_storage == b.dst_storage;
}

// Somebody deleted it. On a holding disk that is not there tonight it may come back with the disk.
bool is_deleted(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::exists(file, error) || error) return false;
  const auto holding_disk = file.parent_path().parent_path();  // with a directory a date
  return std::filesystem::exists(holding_disk, error) && !error;
}

// Nothing can be done for them.
void drop_orders_without_file(CommandFile& commands, const std::string& config) {
  std::erase_if(commands.commands(),
                [&config](const Command& it) { return is_order(it, config) && is_deleted(it.holding_file); });
}

}  // namespace

std::optional<std::vector<std::string>> ordered_storages(const CommandFile& commands,
                                                         const std::string& config,
                                                         const std::filesystem::path& file) {
  std::vector<std::string> storages;
  for (const auto& it : commands.commands())
    if (is_order(it, config) && it.holding_file == file.native()) storages.push_back(it.dst_storage);
  if (storages.empty()) return std::nullopt;
  return storages;
}

FlushOrders::FlushOrders(loop::Loop& loop, const config::ServerConfig& config, std::filesystem::path log,
                         std::move_only_function<void(std::string)> trouble)
    : loop_(loop),
      config_(config),
      log_(std::move(log)),
      trouble_(std::move(trouble)),
      lane_(loop.new_lane()) {}

void FlushOrders::load() {
  const auto& file = config_.globals.command_file;
  auto commands = compat::load_command_file(file);
  if (!commands) return trouble_(commands.error().what());
  found_ = std::move(*commands);
  const size_t before = found_.commands().size();
  drop_orders_without_file(found_, config_.name);
  for (const auto& it : found_.commands())
    if (is_order(it, config_.name)) orders_.emplace(it.holding_file, it.dst_storage);
  if (found_.commands().size() == before) return;
  const auto dropped = compat::update_command_file(file, [this](CommandFile& now) -> Result<> {
    drop_orders_without_file(now, config_.name);
    return {};
  });
  if (!dropped) trouble_(dropped.error().what());
}

std::optional<std::vector<std::string>> FlushOrders::storages_of(const std::filesystem::path& file) const {
  return ordered_storages(found_, config_.name, file);
}

void FlushOrders::add(const journal::ImageId& image, const std::filesystem::path& file,
                      const std::vector<std::string>& storages) {
  // Written all at once: who finds an image with some of its orders takes them for all.
  for (const auto& storage : storages) {
    orders_.emplace(file.native(), storage);
    Command command;
    command.config = config_.name;
    command.holding_file = file.native();
    command.host = image.host;
    command.disk = image.disk;
    command.timestamp = image.timestamp;
    command.level = image.level;
    command.dst_storage = storage;
    command.working_pid = ::getpid();
    waiting_.push_back({Change::Kind::add, std::move(command)});
  }
  write_next();
}

void FlushOrders::done(const std::filesystem::path& file, const std::string& storage) {
  if (orders_.erase({file.native(), storage}) == 0) return;
  Command command;
  command.config = config_.name;
  command.holding_file = file.native();
  command.dst_storage = storage;
  change({Change::Kind::done, std::move(command)});
}

void FlushOrders::let_go(std::move_only_function<void()> then) {
  then_ = std::move(then);
  Command command;
  command.config = config_.name;
  command.working_pid = ::getpid();
  if (!orders_.empty()) return change({Change::Kind::let_go, std::move(command)});
  write_next();
}

void FlushOrders::change(Change it) {
  waiting_.push_back(std::move(it));
  write_next();
}

void FlushOrders::write_next() {
  if (writing_) return;
  if (waiting_.empty()) {
    if (auto then = std::exchange(then_, nullptr)) loop_.post(std::move(then));
    return;
  }
  writing_ = true;
  auto outcome = std::make_shared<Result<>>();
  loop_.offload(
      lane_,
      [file = config_.globals.command_file, log = log_, changes = std::exchange(waiting_, {}), outcome] {
        const bool any_done =
            std::ranges::any_of(changes, [](const Change& it) { return it.kind == Change::Kind::done; });
        if (any_done) {
          if (auto synced = base::sync_file(log); !synced) {
            *outcome = std::move(synced);
            return;
          }
        }
        const auto updated = compat::update_command_file(file, [&changes](CommandFile& now) -> Result<> {
          auto& commands = now.commands();
          for (const auto& [kind, command] : changes) {
            const auto same = [&command](const Command& it) { return same_order(it, command); };
            if (kind == Change::Kind::done)
              std::erase_if(commands, same);
            else if (kind == Change::Kind::let_go)
              std::ranges::for_each(commands, [&command](Command& it) {
                if (is_order(it, command.config) && it.working_pid == command.working_pid) it.working_pid = 0;
              });
            else if (const auto known = std::ranges::find_if(commands, same); known != commands.end())
              known->working_pid = command.working_pid;
            else
              now.add(command);
          }
          return {};
        });
        if (!updated) *outcome = std::unexpected(updated.error());
      },
      [this, alive = alive_.ref(), outcome] {
        if (alive.expired()) return;
        writing_ = false;
        if (!*outcome) trouble_(outcome->error().what());
        write_next();
      });
}

}  // namespace headrace::drive
