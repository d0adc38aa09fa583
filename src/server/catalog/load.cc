#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "compat/run_log.h"
#include "compat/tapelist.h"
#include "config/server_config.h"
#include "server/catalog/attempts.h"
#include "server/catalog/catalog.h"
#include "server/catalog/held_images.h"

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
  Result<Catalog> run(const Sources& sources) {
    auto tapelist = compat::load_tapelist(sources.tapelist);
    if (!tapelist) return std::unexpected(std::move(tapelist.error()));
    const auto logs = compat::list_run_logs(sources.logdir);
    if (!logs) return std::unexpected(logs.error());
    for (const compat::RunLogFile& file : *logs) {
      const auto log = compat::load_run_log(file.path);
      if (!log) {
        catalog_.warnings_.push_back(log.error().what());
        continue;
      }
      read_log(*log, file.timestamp, *tapelist, sources.config_name);
    }
    for (const auto& directory : sources.holding_directories) {
      list_held_images(directory, catalog_.images_, catalog_.warnings_);
    }
    keep_best_of_each_copy();
    return std::move(catalog_);
  }

 private:
  // Images in order of their logs, so that a later attempt stands behind an earlier one.
  void read_log(const compat::ParsedLog& log, const std::string& timestamp, const compat::Tapelist& tapelist,
                std::string_view config_name) {
    catalog_.warnings_.insert(catalog_.warnings_.end(), log.complaints.begin(), log.complaints.end());
    Attempts attempts(tapelist, config_name);
    for (const compat::NumberedLine& numbered : log.lines) {
      std::visit([&](const auto& line) { read_line(line, timestamp, attempts); }, numbered.line);
    }
    auto images = attempts.take();
    std::ranges::move(images, std::back_inserter(catalog_.images_));
  }

  static void read_line(const compat::TapeStartLine& line, const std::string&, Attempts& attempts) {
    attempts.add(line);
  }
  static void read_line(const compat::PartLine& line, const std::string&, Attempts& attempts) {
    attempts.add(line);
  }
  static void read_line(const compat::TapedLine& line, const std::string&, Attempts& attempts) {
    attempts.add(line);
  }
  void read_line(const compat::TaperFailLine& line, const std::string&, Attempts& attempts) {
    attempts.add(line);
    catalog_.failed_.push_back({.host = line.host,
                                .disk = line.disk,
                                .timestamp = line.timestamp,
                                .level = line.level,
                                .program = "taper",
                                .reason = line.reason});
  }
  void read_line(const compat::DumpedLine& line, const std::string& timestamp, Attempts&) {
    // A STRANGE line has no timestamp; dumps of a run have the run's.
    catalog_.facts_.push_back({.host = line.host,
                               .disk = line.disk,
                               .timestamp = line.timestamp.empty() ? timestamp : line.timestamp,
                               .level = line.level});
  }
  void read_line(const compat::FailLine& line, const std::string&, Attempts&) {
    catalog_.failed_.push_back({.host = line.host,
                                .disk = line.disk,
                                .timestamp = line.timestamp,
                                .level = line.level,
                                .program = line.program,
                                .reason = line.reason});
  }
  template <class Other>
  static void read_line(const Other&, const std::string&, Attempts&) {}

  // One image for each copy: of several attempts at it the last that went well, or else the last.
  void keep_best_of_each_copy() {
    const auto key = [](const Image& image) {
      return std::tie(image.host, image.disk, image.timestamp, image.level, image.storage);
    };
    std::map<std::tuple<std::string, std::string, std::string, int, std::string>, size_t> best;
    for (size_t i = 0; i < catalog_.images_.size(); ++i) {
      const Image& image = catalog_.images_[i];
      const auto [at, fresh] = best.try_emplace(key(image), i);
      if (fresh) continue;
      const bool had_good = catalog_.images_[at->second].status == ImageStatus::ok;
      if (image.status == ImageStatus::ok || !had_good) at->second = i;
    }
    std::vector<Image> kept;
    for (const auto& [unused, index] : best) kept.push_back(std::move(catalog_.images_[index]));
    std::ranges::sort(kept, [](const Image& a, const Image& b) {
      return std::tie(a.host, a.disk, b.timestamp, a.level, a.storage) <
             std::tie(b.host, b.disk, a.timestamp, b.level, b.storage);
    });
    catalog_.images_ = std::move(kept);
  }

  Catalog catalog_;
};

Result<Catalog> load(const Sources& sources) { return Loader().run(sources); }

}  // namespace headrace::catalog
