#include "cli/find_command.h"

#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/clock.h"
#include "cli/server_context.h"
#include "server/catalog/dates.h"
#include "server/catalog/find.h"

namespace headrace::cli {

using Json = nlohmann::ordered_json;

static void print_json(const std::vector<catalog::FindRow>& rows) {
  Json list = Json::array();
  for (const catalog::FindRow& row : rows) {
    list.push_back({{"timestamp", row.timestamp},
                    {"host", row.host},
                    {"disk", row.disk},
                    {"level", row.level},
                    {"storage", row.storage},
                    {"pool", row.pool},
                    {"place", row.place},
                    {"file", row.fileno},
                    {"part", row.part},
                    {"parts", row.total},
                    {"status", row.remark.empty() ? row.status : row.status + ' ' + row.remark}});
  }
  fmt::print("{}\n", list.dump(2, ' ', false, Json::error_handler_t::replace));
}

// What restore takes only when it is told to.
static void tell_misdated(const catalog::Catalog& catalog, const FindOptions& options) {
  const int64_t now = options.now != 0 ? options.now : base::SystemClock().wall_seconds();
  const std::string latest = catalog::latest_date(now);
  std::set<std::pair<std::string, std::string>> told;
  for (const catalog::Image& image : catalog.images()) {
    if (image.timestamp <= latest || !catalog::is_named(image.host, image.disk, options.host, options.disks))
      continue;
    if (!told.emplace(image.host, image.disk).second) continue;
    const auto misdated = catalog.dated_after(image.host, image.disk, latest);
    if (misdated.empty()) continue;
    fmt::print(stderr,
               "headrace find: {}:{} has dumps that are dated in the future (a clock was wrong), which "
               "restore takes "
               "with --at alone: {}\n",
               image.host, image.disk, catalog::text_of(misdated));
  }
}

int find(const FindOptions& options) {
  const auto context = load_context(options.config, options.overrides, false);
  if (!context) return kExitUsage;
  const auto catalog = catalog::load(catalog::Sources::of(context->config));
  if (!catalog) {
    fmt::print(stderr, "headrace find: {}\n", catalog.error().what());
    return kExitUsage;
  }
  for (const std::string& warning : catalog->warnings()) fmt::print(stderr, "headrace find: {}\n", warning);
  tell_misdated(*catalog, options);
  const auto rows = catalog::find_rows(*catalog, options.host, options.disks);
  if (options.json) {
    print_json(rows);
  } else {
    fmt::print("{}", catalog::find_table(rows));
  }
  return 0;
}

}  // namespace headrace::cli
