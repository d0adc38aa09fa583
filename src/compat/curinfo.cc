#include "compat/curinfo.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "compat/parse_words.h"

namespace headrace::compat {
namespace {

using base::ErrorKind;
using base::Result;

constexpr size_t kMaxAverages = 3;

struct AverageLine {
  std::string_view key;
  std::vector<double> Curinfo::* member;
};
constexpr std::array kAverageLines{
    AverageLine{"full-rate:", &Curinfo::full_rate}, AverageLine{"full-comp:", &Curinfo::full_comp},
    AverageLine{"incr-rate:", &Curinfo::incr_rate}, AverageLine{"incr-comp:", &Curinfo::incr_comp}};

// Reads the words of one line as numbers; remembers whether all were.
class Numbers {
 public:
  explicit Numbers(std::string_view rest) : rest_(rest) {}
  template <class Number>
  Number next() {
    const auto value = number_of<Number>(take_plain_word(rest_));
    if (!value) good_ = false;
    return value.value_or(Number{});
  }
  int level(int lowest) {
    const int value = next<int>();
    if (value < lowest || value > kMaxDumpLevel) good_ = false;
    return value;
  }
  bool at_end() const { return rest_.find_first_not_of(" \t\r") == std::string_view::npos; }
  std::string_view word() { return take_plain_word(rest_); }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

bool parse_averages(std::string_view rest, std::vector<double>& into) {
  Numbers numbers(rest);
  while (!numbers.at_end() && into.size() < kMaxAverages) into.push_back(numbers.next<double>());
  return numbers.good() && std::ranges::all_of(into, [](double v) { return std::isfinite(v); });
}

bool parse_stats(std::string_view rest, std::vector<LevelStats>& into) {
  Numbers numbers(rest);
  LevelStats stats;
  stats.level = numbers.level(0);
  stats.native_kib = numbers.next<int64_t>();
  stats.stored_kib = numbers.next<int64_t>();
  stats.seconds = numbers.next<int64_t>();
  stats.unixtime = numbers.next<int64_t>();
  if (!numbers.at_end()) {
    stats.fileno = numbers.next<int64_t>();
    stats.label = numbers.word();
  }
  // A second line for a level wins over the first, as a later write would have.
  std::erase_if(into, [&](const LevelStats& other) { return other.level == stats.level; });
  into.push_back(std::move(stats));
  return numbers.good() && numbers.at_end();
}

bool parse_history(std::string_view rest, std::vector<PastDump>& into) {
  Numbers numbers(rest);
  PastDump past;
  past.level = numbers.level(0);
  past.native_kib = numbers.next<int64_t>();
  past.stored_kib = numbers.next<int64_t>();
  past.unixtime = numbers.next<int64_t>();
  past.seconds = numbers.next<int64_t>();
  if (into.size() < kMaxHistory) into.push_back(past);
  return numbers.good() && numbers.at_end();
}

bool parse_line(std::string_view line, Curinfo& info) {
  std::string_view rest = line;
  const std::string_view key = take_plain_word(rest);
  Numbers numbers(rest);
  if (key == "version:") return numbers.next<int>() == 0 && numbers.good();
  if (key == "command:") {
    info.command = numbers.next<uint32_t>();
    return numbers.good();
  }
  for (const AverageLine& average : kAverageLines) {
    if (key == average.key) return parse_averages(rest, info.*average.member);
  }
  if (key == "stats:") return parse_stats(rest, info.stats);
  if (key == "history:") return parse_history(rest, info.history);
  if (key == "last_level:") {
    info.last_level = numbers.level(-1);
    info.last_level_runs = numbers.at_end() ? 0 : numbers.next<int>();
    return numbers.good();
  }
  return false;
}

void push_average(std::vector<double>& newest_first, double value) {
  newest_first.insert(newest_first.begin(), value);
  if (newest_first.size() > kMaxAverages) newest_first.resize(kMaxAverages);
}

}  // namespace

Result<Curinfo> Curinfo::parse(std::string_view text, std::string_view file) {
  Curinfo info;
  int number = 0;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (line.starts_with("//")) break;
    if (!parse_line(line, info)) return bad_line(file, number, "does not belong into an info file");
  }
  std::ranges::sort(info.stats, {}, &LevelStats::level);
  return info;
}

std::string Curinfo::text() const {
  std::string text;
  const auto end = std::back_inserter(text);
  fmt::format_to(end, "version: 0\ncommand: {}\n", command);
  for (const AverageLine& average : kAverageLines) {
    text += average.key;
    for (double value : this->*average.member) fmt::format_to(end, " {:f}", value);
    text += '\n';
  }
  for (const LevelStats& s : stats) {
    fmt::format_to(end, "stats: {} {} {} {} {}", s.level, s.native_kib, s.stored_kib, s.seconds, s.unixtime);
    if (!s.label.empty()) fmt::format_to(end, " {} {}", s.fileno, s.label);
    text += '\n';
  }
  fmt::format_to(end, "last_level: {} {}\n", last_level, last_level_runs);
  for (const PastDump& past : history) {
    fmt::format_to(end, "history: {} {} {} {} {}\n", past.level, past.native_kib, past.stored_kib,
                   past.unixtime, past.seconds);
  }
  return text + "//\n";
}

const LevelStats* Curinfo::stats_of(int level) const {
  const auto at = std::ranges::find(stats, level, &LevelStats::level);
  return at == stats.end() ? nullptr : &*at;
}

void Curinfo::record_dump(const RecordedDump& dump) {
  HEADRACE_CHECK(dump.level >= 0 && dump.level <= kMaxDumpLevel);
  const auto seconds = static_cast<int64_t>(dump.seconds);
  if (seconds > 0) {
    push_average(dump.level == 0 ? full_rate : incr_rate,
                 static_cast<double>(dump.stored_kib) / static_cast<double>(seconds));
  }
  if (dump.compressed && dump.native_kib > 0) {
    push_average(dump.level == 0 ? full_comp : incr_comp,
                 static_cast<double>(dump.stored_kib) / static_cast<double>(dump.native_kib));
  }
  std::erase_if(stats, [&](const LevelStats& other) { return other.level >= dump.level; });
  stats.push_back({.level = dump.level,
                   .native_kib = dump.native_kib,
                   .stored_kib = dump.stored_kib,
                   .seconds = seconds,
                   .unixtime = dump.unixtime,
                   .fileno = 0,
                   .label = {}});
  last_level_runs = last_level == dump.level ? last_level_runs + 1 : 1;
  last_level = dump.level;
  history.insert(history.begin(), {.level = dump.level,
                                   .native_kib = dump.native_kib,
                                   .stored_kib = dump.stored_kib,
                                   .unixtime = dump.unixtime,
                                   .seconds = seconds});
  if (history.size() > kMaxHistory) history.resize(kMaxHistory);
}

void Curinfo::record_full_elsewhere(int64_t unixtime) {
  if (stats.empty() || stats.front().level != 0) stats.insert(stats.begin(), LevelStats{});
  stats.front().unixtime = unixtime;
  // Of a disk without a past Amanda writes "last_level: 9 -1" here, which nothing can go on from.
  if (last_level < 0) {
    last_level = 0;
    last_level_runs = 1;
  }
  command &= ~kForceFull;
}

bool Curinfo::record_taped(int level, int64_t unixtime, int64_t fileno, std::string_view label) {
  const auto at = std::ranges::find(stats, level, &LevelStats::level);
  if (at == stats.end() || at->unixtime != unixtime) return false;
  at->fileno = fileno;
  at->label = label;
  return true;
}

double Curinfo::weighted(const std::vector<double>& newest_first, double missing) {
  double sum = 0;
  double weights = 0;
  for (size_t i = 0; i < std::min(newest_first.size(), kMaxAverages); ++i) {
    const auto weight = static_cast<double>(kMaxAverages - i);
    sum += weight * newest_first[i];
    weights += weight;
  }
  return weights > 0 ? sum / weights : missing;
}

std::filesystem::path curinfo_path(const std::filesystem::path& infofile, std::string_view host,
                                   std::string_view disk) {
  return infofile / base::mangle(host) / base::mangle(disk) / "info";
}

Result<Curinfo> load_curinfo(const std::filesystem::path& infofile, std::string_view host,
                             std::string_view disk) {
  const auto path = curinfo_path(infofile, host, disk);
  auto text = base::read_file(path);
  if (!text) {
    if (text.error().sys_errno() == ENOENT) return Curinfo{};
    return std::unexpected(std::move(text.error()));
  }
  return Curinfo::parse(*text, path.string());
}

Result<> save_curinfo(const std::filesystem::path& infofile, std::string_view host, std::string_view disk,
                      const Curinfo& info) {
  const auto path = curinfo_path(infofile, host, disk);
  if (auto made = base::make_directories(path.parent_path(), 0700); !made) return made;
  return base::replace_file(path, info.text(), 0600);
}

}  // namespace headrace::compat
