#include "cli/restore_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/server_context.h"
#include "loop/signals.h"
#include "server/catalog/dates.h"
#include "server/recover/restore.h"

namespace headrace::cli {
namespace {

using base::Result;
using Json = nlohmann::ordered_json;

constexpr int kExitFailed = 2;
constexpr std::chrono::milliseconds kBetweenProgress{200};
constexpr unsigned kWorkers = 2;

// "2026-11-23 01:31:59", less exact forms meaning their last moment; nothing when it is no time.
std::optional<std::string> moment_of(const std::string& text) {
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      digits += c;
    } else if (std::string_view("-: T").find(c) == std::string_view::npos) {
      return std::nullopt;
    }
  }
  if (digits.size() == 8) digits += "235959";
  if (digits.size() == 12) digits += "59";
  if (digits.size() != 14 || base::unix_of_timestamp(digits) == 0) return std::nullopt;
  return digits;
}

std::string readable(const std::string& stamp) {
  if (stamp.size() != 14) return stamp;
  return fmt::format("{}-{}-{} {}:{}:{}", stamp.substr(0, 4), stamp.substr(4, 2), stamp.substr(6, 2),
                     stamp.substr(8, 2), stamp.substr(10, 2), stamp.substr(12, 2));
}

int usage(const std::string& sentence) {
  fmt::print(stderr, "headrace restore: {}\n", sentence);
  return kExitUsage;
}

// Says what is read, and on a terminal how far it is.
class Talk final : public recover::Progress {
 public:
  Talk(FILE* out, uint64_t total_bytes, const base::Clock& clock)
      : out_(out),
        total_bytes_(total_bytes),
        clock_(clock),
        begun_(clock.now()),
        terminal_(::isatty(STDERR_FILENO) == 1) {}

  void reading(const catalog::Image& image, const std::string& place) override {
    clear();
    fmt::print(out_, "Reading {} ({} level {})\n", place, readable(image.timestamp), image.level);
    std::fflush(out_);
  }
  void moved(uint64_t bytes) override {
    const base::Instant now = clock_.now();
    if (!terminal_ || now - shown_ < kBetweenProgress) return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    const auto rate = static_cast<uint64_t>(seconds > 0 ? static_cast<double>(bytes) / seconds : 0);
    const uint64_t percent = total_bytes_ > 0 ? bytes * 100 / total_bytes_ : 100;
    fmt::print(stderr, "\r\033[K{} of {} ({} %), {}/s", base::human_bytes(bytes),
               base::human_bytes(total_bytes_), percent, base::human_bytes(rate));
    std::fflush(stderr);
    drawn_ = true;
  }
  void message(const std::string& line) override {
    clear();
    fmt::print(stderr, "{}\n", line);
  }
  void other_copy(const catalog::Image& failed, const base::Error& why, const catalog::Image& next,
                  Again again) override {
    clear();
    std::string_view consequence;
    if (again == Again::this_one) consequence = ", and what was unpacked is unpacked again";
    if (again == Again::all) consequence = ", and all dumps are unpacked again, from the first on";
    fmt::print(stderr, "headrace restore: the copy {} of {} cannot be used: {}\n", failed.where(),
               failed.text(), why.what());
    fmt::print(stderr, "headrace restore: the one {} is taken instead{}\n", next.where(), consequence);
    unusable_.push_back({{"timestamp", failed.timestamp},
                         {"level", failed.level},
                         {"storage", failed.storage},
                         {"why", why.what()}});
    if (again == Again::all) restored_ = Json::array();
  }
  void restored(const catalog::Image& image, bool checked) override {
    restored_.push_back({{"timestamp", image.timestamp},
                         {"level", image.level},
                         {"storage", image.storage},
                         {"stored_bytes", image.bytes},
                         {"checked", checked}});
  }
  void clear() {
    if (drawn_) fmt::print(stderr, "\r\033[K");
    drawn_ = false;
  }
  Json restored_images() const { return restored_; }
  Json unusable_copies() const { return unusable_; }

 private:
  FILE* out_;
  uint64_t total_bytes_;
  const base::Clock& clock_;
  base::Instant begun_;
  base::Instant shown_{};
  bool terminal_;
  bool drawn_ = false;
  Json restored_ = Json::array();
  Json unusable_ = Json::array();
};

// What the operator should know before trusting the answer's date.
void tell_newer_failures(const catalog::Catalog& catalog, const RestoreOptions& options,
                         const std::string& at, const std::string& newest) {
  for (const catalog::FailedDump& failed : catalog.failed()) {
    const bool ours = failed.host == options.host && failed.disk == options.disk;
    if (!ours || failed.timestamp <= newest || (!at.empty() && failed.timestamp > at)) continue;
    fmt::print(stderr, "headrace restore: the dump of {} failed ({}: {}); this is the state before it\n",
               readable(failed.timestamp), failed.program, failed.reason);
  }
}

Result<std::vector<catalog::Image>> choose(const catalog::Catalog& catalog, const RestoreOptions& options,
                                           const std::string& at) {
  if (!options.to_stdout) return catalog.chain(options.host, options.disk, at);
  auto one = catalog.newest(options.host, options.disk, at, options.level);
  if (!one) return std::unexpected(std::move(one.error()));
  return std::vector<catalog::Image>{*std::move(one)};
}

// Dumps that a wrong clock dated in the future: said, and never mixed with others unasked. False: nothing may
// be restored.
bool judge_dates(const RestoreOptions& options, const std::vector<catalog::DumpFact>& misdated,
                 const std::vector<catalog::Image>& images) {
  if (options.to_stdout) return true;
  const std::string doubt = catalog::doubt_about(images, misdated);
  if (doubt.empty()) return true;
  if (!options.at.empty()) {
    fmt::print(stderr, "headrace restore: {}; dumps are put together by their dates\n", doubt);
    return true;
  }
  fmt::print(stderr,
             "headrace restore: nothing is restored, since the dumps may not belong together: {}. To put "
             "them together "
             "by their dates all the same say --at {}\n",
             doubt, images.back().timestamp);
  return false;
}

// All copies of each; an error when none is where the operator wants it from.
Result<std::vector<std::vector<catalog::Image>>> copies_of(const catalog::Catalog& catalog,
                                                           const std::vector<catalog::Image>& images,
                                                           const std::string& storage) {
  std::vector<std::vector<catalog::Image>> copies;
  std::set<std::string> storages;
  for (const catalog::Image& image : images) {
    copies.push_back(catalog.copies_of(image));
    for (const catalog::Image& copy : copies.back()) storages.insert(copy.storage);
  }
  if (storage.empty() || storages.contains(storage)) return copies;
  return base::fail(base::ErrorKind::refused,
                    fmt::format("no copy of what is wanted is in storage {}; there are copies in {}", storage,
                                fmt::join(storages, ", ")));
}

Result<recover::RestoreSummary> run(loop::Loop& loop, const config::ServerConfig& config,
                                    recover::RestoreRequest request, Talk& talk) {
  Result<recover::RestoreSummary> result = base::fail(base::ErrorKind::cancelled, "stopped by a signal");
  const auto signals = loop::on_signals(loop, {SIGINT, SIGTERM, SIGHUP}, [&](int) { loop.stop(); });
  recover::Restore restore(loop, config, std::move(request), talk);
  restore.start([&](Result<recover::RestoreSummary> outcome) {
    result = std::move(outcome);
    loop.stop();
  });
  loop.run();
  return result;
}

void report(const RestoreOptions& options, const Result<recover::RestoreSummary>& result, const Talk& talk,
            const std::string& newest) {
  if (options.json && !options.to_stdout) {
    Json json{{"host", options.host},
              {"disk", options.disk},
              {"to", options.to},
              {"restored", result.has_value()},
              {"state_of", newest},
              {"images", talk.restored_images()},
              {"unusable_copies", talk.unusable_copies()}};
    if (result) {
      json["stored_bytes"] = result->stored_bytes;
      json["native_bytes"] = result->native_bytes;
      json["all_checked"] = result->all_checked;
    } else {
      json["error"] = result.error().what();
    }
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  if (!result) return;
  fmt::print(options.to_stdout ? stderr : stdout, "Restored {}:{} as of {}{}: {}, {}. {}\n", options.host,
             options.disk, readable(newest), options.to_stdout ? "" : " into " + options.to,
             counted(result->images, "dump"), base::human_bytes(result->native_bytes),
             result->all_checked
                 ? "All checksums are right."
                 : "Not all dumps have a checksum recorded: nothing proves what was read of those.");
  if (result->unusable_copies > 0) {
    fmt::print(stderr, "headrace restore: {} could not be used and should be looked after: see above\n",
               result->unusable_copies == 1 ? "1 copy" : fmt::format("{} copies", result->unusable_copies));
  }
}

// The exit status of a mistake in how we were called; 0: none.
int check_usage(const RestoreOptions& options) {
  if (options.to.empty() == !options.to_stdout) return usage("say where to: --to DIR, or --stdout");
  if (options.to_stdout && !options.paths.empty())
    return usage("--stdout gives a whole dump: no PATH with it");
  if (options.level && !options.to_stdout) return usage("--level goes with --stdout only");
  if (options.to_stdout && ::isatty(STDOUT_FILENO) == 1) {
    return usage("--stdout would write an archive to the terminal: redirect it");
  }
  return 0;
}

}  // namespace

int restore(const RestoreOptions& options) {
  if (const int status = check_usage(options); status != 0) return status;
  std::string at;
  if (!options.at.empty()) {
    const auto moment = moment_of(options.at);
    if (!moment)
      return usage(fmt::format("\"{}\" is no time; write 20261123013159 or 2026-11-23 01:31", options.at));
    at = *moment;
  }
  const auto context = load_context(options.config, options.overrides, false);
  if (!context) return kExitUsage;
  const auto catalog = catalog::load(catalog::Sources::of(context->config));
  if (!catalog) return usage(catalog.error().what());
  for (const std::string& warning : catalog->warnings())
    fmt::print(stderr, "headrace restore: {}\n", warning);
  const int64_t now = options.now != 0 ? options.now : base::SystemClock().wall_seconds();
  const std::string latest = catalog::latest_date(now);
  const auto misdated = catalog->dated_after(options.host, options.disk, latest);
  if (at.empty() && !misdated.empty()) {
    fmt::print(stderr,
               "headrace restore: left out, as they are dated in the future (a clock was wrong): {}; --at "
               "takes them\n",
               catalog::text_of(misdated));
    at = latest;
  }
  auto images = choose(*catalog, options, at);
  if (!images) {
    fmt::print(stderr, "headrace restore: {}\n", images.error().what());
    return kExitFailed;
  }
  if (!judge_dates(options, misdated, *images)) return kExitFailed;
  auto copies = copies_of(*catalog, *images, options.storage);
  if (!copies) return usage(copies.error().what());
  if (!options.to_stdout) {
    if (auto good = recover::check_target(options.to, options.into_existing); !good)
      return usage(good.error().what());
  }
  const std::string newest = images->back().timestamp;
  tell_newer_failures(*catalog, options, at, newest);
  uint64_t total = 0;
  for (const catalog::Image& image : *images) total += image.bytes;
  const auto loop = loop::make_loop(kWorkers);
  Talk talk(options.to_stdout || options.json ? stderr : stdout, total, loop->clock());
  const auto result = run(*loop, context->config,
                          {.images = *std::move(images),
                           .copies = *std::move(copies),
                           .preferred_storage = options.storage,
                           .indexdir = context->config.globals.indexdir,
                           .to = options.to,
                           .to_descriptor = STDOUT_FILENO,
                           .paths = options.paths},
                          talk);
  talk.clear();
  report(options, result, talk, newest);
  if (result) return 0;
  fmt::print(stderr, "headrace restore: {}\n", result.error().what());
  if (result.error().kind() == base::ErrorKind::corrupt && !options.to_stdout) {
    fmt::print(stderr, "headrace restore: do not trust what is in {}\n", options.to);
  }
  return kExitFailed;
}

}  // namespace headrace::cli
