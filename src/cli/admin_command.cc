#include "cli/admin_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/server_context.h"
#include "compat/curinfo.h"
#include "server/drive/skip_mark.h"
#include "server/observe/text.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::ordered_json;
using config::Strategy;

enum class Act : unsigned char { dump, skip, unskip };
struct Wish {
  const char* word;
  Act act;
  uint32_t command;  // dump: of the record
  const char* done;  // what the disk is now
};
constexpr std::array<Wish, 7> kWishes = {{
    {"force", Act::dump, compat::kForceFull, "dumped in full in the next run"},
    {"unforce", Act::dump, 0, "planned as usual"},
    {"force-level-1", Act::dump, compat::kForceLevel1, "dumped at level 1 in the next run"},
    {"force-bump", Act::dump, compat::kForceBump, "dumped at the next level in the next run"},
    {"force-no-bump", Act::dump, compat::kForceNoBump, "dumped at the same level in the next run"},
    {"skip", Act::skip, 0, "left out of the next run"},
    {"unskip", Act::unskip, 0, "planned as usual"},
}};

// Why the plan will not heed it; empty: it will.
std::string objection(const config::Dumptype& type, uint32_t command) {
  if (type.ignore || type.strategy == Strategy::skip)
    return "it is left out of every run (ignore, strategy skip)";
  if (command == compat::kForceFull && type.strategy == Strategy::nofull)
    return "strategy nofull makes no full";
  if (command != 0 && command != compat::kForceFull && type.strategy == Strategy::noinc)
    return "strategy noinc makes fulls only";
  return {};
}

// One wish for a dump at a time: they contradict each other. To skip puts such a wish off, it does not end
// it.
base::Result<> carry_out(const Wish& wish, const std::filesystem::path& infofile,
                         const config::DiskListEntry& disk) {
  if (wish.act == Act::skip) return drive::set_skip_mark(infofile, disk.host, disk.disk);
  if (wish.act == Act::dump) {
    auto info = compat::load_curinfo(infofile, disk.host, disk.disk);
    if (!info) return std::unexpected(std::move(info).error());
    info->command = wish.command;
    if (auto saved = compat::save_curinfo(infofile, disk.host, disk.disk, *info); !saved) return saved;
  }
  return drive::clear_skip_mark(infofile, disk.host, disk.disk);
}

}  // namespace

std::vector<std::string> wish_words() {
  std::vector<std::string> words;
  for (const auto& wish : kWishes) words.emplace_back(wish.word);
  return words;
}

int wish(const WishOptions& options) {
  const auto context = load_context(options.config, options.overrides, true);
  if (!context) return kExitUsage;
  const auto disks = select_disks(context->disks, options.disks);
  if (!disks) return kExitUsage;
  const auto* wanted = std::ranges::find(kWishes, options.wish, &Wish::word);
  if (wanted == kWishes.end()) {
    fmt::print(stderr, "headrace admin: {} is none of {}\n", options.wish, fmt::join(wish_words(), ", "));
    return kExitUsage;
  }
  int status = 0;
  Json rows = Json::array();
  for (const auto& disk : *disks) {
    const auto& infofile = context->config.globals.infofile;
    const std::string name = observe::dle_name({disk.host, disk.disk, {}, 0});
    Json row = {{"host", disk.host}, {"disk", disk.disk}};
    const auto fail = [&](const std::string& why) {
      status = kExitUsage;
      row["error"] = why;
      if (!options.json) fmt::print(stderr, "headrace admin: {}: {}\n", name, why);
    };
    if (auto why = objection(disk.dumptype, wanted->command); !why.empty()) {
      fail(why);
    } else if (auto done = carry_out(*wanted, infofile, disk); !done) {
      fail(done.error().what());
    } else {
      row["wish"] = wanted->word;
      if (!options.json) fmt::print("{} will be {}\n", name, wanted->done);
    }
    rows.push_back(std::move(row));
  }
  if (options.json)
    fmt::print("{}\n", Json{{"disks", std::move(rows)}}.dump(2, ' ', false, Json::error_handler_t::replace));
  return status;
}

}  // namespace headrace::cli
