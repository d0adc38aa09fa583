#include <algorithm>
#include <numeric>
#include <ranges>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "compat/run_log.h"
#include "compat/tapelist.h"
#include "config/server_config.h"
#include "server/catalog/attempts.h"
#include "server/catalog/catalog.h"
#include "server/catalog/held_images.h"
#include "server/catalog/log_memory.h"

namespace headrace::catalog {

using base::Result;

Sources Sources::of(const config::ServerConfig& config) {
  Sources sources;
  sources.config_name = config.name;
  sources.logdir = config.globals.logdir;
  sources.tapelist = config.globals.tapelist;
  for (const config::HoldingDisk& disk : config.holding_disks) {
    sources.holding_directories.push_back(disk.directory);
  }
  return sources;
}

// Fills a catalog from its sources.
class Loader {
 public:
  explicit Loader(LogMemory* memory) : memory_(memory) {}

  Result<Catalog> run(const Sources& sources) {
    auto tapelist = compat::load_tapelist(sources.tapelist);
    if (!tapelist) return std::unexpected(std::move(tapelist.error()));
    const auto logs = compat::list_run_logs(sources.logdir);
    if (!logs) return std::unexpected(logs.error());
    std::vector<Image> held;
    std::vector<std::string> troubles;
    for (const auto& directory : sources.holding_directories) list_held_images(directory, held, troubles);
    for (const compat::TapelistEntry& entry : tapelist->entries())
      if (entry.used()) there_since(entry.timestamp);
    // A partial one, which stays until somebody takes it away, is nothing that others build on.
    for (const Image& image : held)
      if (image.status != ImageStatus::partial) there_since(image.timestamp);
    std::vector<Catalog> read;  // newest first
    for (const compat::RunLogFile& file : *logs | std::views::reverse) {
      if (says_nothing_any_more(file.timestamp, logs->back().timestamp)) break;
      read.push_back(read_log(file, *tapelist, sources.config_name));
      for (const Image& image : read.back().images_) there_since(image.timestamp);
    }
    // In order of their logs, so that a later attempt stands behind an earlier one.
    for (Catalog& log : read | std::views::reverse) append(std::move(log));
    std::ranges::move(held, std::back_inserter(catalog_.images_));
    std::ranges::move(troubles, std::back_inserter(catalog_.warnings_));
    keep_best_of_each_copy();
    sort_facts();
    return std::move(catalog_);
  }

 private:
  // Of what one log is read into.
  struct Into {
    Catalog& catalog;
    Attempts& attempts;
    const std::string& timestamp;  // the run's
  };

  // What one log says; a catalog of nothing else.
  Catalog read_log(const compat::RunLogFile& file, const compat::Tapelist& tapelist,
                   std::string_view config_name) {
    Catalog out;
    LogMemory forgotten;
    const auto loaded = (memory_ != nullptr ? *memory_ : forgotten).load(file.path);
    if (!loaded) {
      out.warnings_.push_back(loaded.error().what());
      return out;
    }
    const compat::ParsedLog& log = **loaded;
    out.warnings_ = log.complaints;
    Attempts attempts(tapelist, config_name);
    const Into into{out, attempts, file.timestamp};
    for (const compat::NumberedLine& numbered : log.lines) {
      std::visit([&](const auto& line) { read_line(line, into); }, numbered.line);
    }
    out.images_ = attempts.take();
    return out;
  }

  static void read_line(const compat::TapeStartLine& line, const Into& into) { into.attempts.add(line); }
  static void read_line(const compat::PartLine& line, const Into& into) { into.attempts.add(line); }
  static void read_line(const compat::TapedLine& line, const Into& into) { into.attempts.add(line); }
  static void read_line(const compat::TaperFailLine& line, const Into& into) {
    into.attempts.add(line);
    into.catalog.failed_.push_back({.host = line.host,
                                    .disk = line.disk,
                                    .timestamp = line.timestamp,
                                    .level = line.level,
                                    .program = "taper",
                                    .reason = line.reason});
  }
  static void read_line(const compat::DumpedLine& line, const Into& into) {
    // A STRANGE line has no timestamp; dumps of a run have the run's.
    into.catalog.facts_.push_back({.host = line.host,
                                   .disk = line.disk,
                                   .timestamp = line.timestamp.empty() ? into.timestamp : line.timestamp,
                                   .level = line.level});
  }
  static void read_line(const compat::FailLine& line, const Into& into) {
    into.catalog.failed_.push_back({.host = line.host,
                                    .disk = line.disk,
                                    .timestamp = line.timestamp,
                                    .level = line.level,
                                    .program = line.program,
                                    .reason = line.reason});
  }
  template <class Other>
  static void read_line(const Other&, const Into&) {}

  void append(Catalog log) {
    std::ranges::move(log.images_, std::back_inserter(catalog_.images_));
    std::ranges::move(log.facts_, std::back_inserter(catalog_.facts_));
    std::ranges::move(log.failed_, std::back_inserter(catalog_.failed_));
    std::ranges::move(log.warnings_, std::back_inserter(catalog_.warnings_));
  }

  void there_since(const std::string& timestamp) {
    if (oldest_.empty() || timestamp < oldest_) oldest_ = timestamp;
  }

  // A log from long before the oldest volume and image that there are: no part of its run is left, and no
  // chain of what is left reaches so far. Logs of as long a time as there are images of count before that, so
  // that a chain whose base was written over can name it.
  bool says_nothing_any_more(const std::string& timestamp, const std::string& newest) const {
    if (oldest_.empty() || timestamp >= oldest_) return false;
    const int64_t moment = base::unix_of_timestamp(timestamp);
    const int64_t oldest = base::unix_of_timestamp(oldest_);
    if (moment == 0 || oldest == 0) return false;
    return moment < oldest - std::max(base::unix_of_timestamp(newest) - oldest, kLeastSpanSeconds);
  }

  // One image for each copy: of several attempts at it the last that went well, or else the last.
  void keep_best_of_each_copy() {
    auto& images = catalog_.images_;
    // What is sorted are their places: an image is large.
    std::vector<size_t> order(images.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto compared = [&images](size_t left, size_t right) {
      const Image &a = images[left], &b = images[right];
      return std::tie(a.host, a.disk, b.timestamp, a.level, a.storage) <=>
             std::tie(b.host, b.disk, a.timestamp, b.level, b.storage);
    };
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return compared(a, b) < 0; });
    std::vector<Image> kept;
    kept.reserve(images.size());
    for (size_t i = 0; i < order.size();) {
      size_t best = order[i];
      const size_t first = best;
      for (++i; i < order.size() && compared(first, order[i]) == 0; ++i) {
        const bool had_good = images[best].status == ImageStatus::ok;
        if (images[order[i]].status == ImageStatus::ok || !had_good) best = order[i];
      }
      kept.push_back(std::move(images[best]));
    }
    images = std::move(kept);
  }

  void sort_facts() {
    auto& facts = catalog_.facts_;
    std::vector<size_t> order(facts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, {},
                             [&facts](size_t i) { return std::tie(facts[i].host, facts[i].disk); });
    std::vector<DumpFact> sorted;
    sorted.reserve(facts.size());
    for (const size_t i : order) sorted.push_back(std::move(facts[i]));
    facts = std::move(sorted);
  }

  static constexpr int64_t kLeastSpanSeconds = int64_t{30} * 86400;

  LogMemory* const memory_;  // borrowed; null: nobody asks again
  Catalog catalog_;
  std::string oldest_;  // of the volumes and images that there are; empty: none yet
};

Result<Catalog> load(const Sources& sources, LogMemory* memory) { return Loader(memory).run(sources); }

}  // namespace headrace::catalog
