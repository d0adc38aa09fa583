#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "base/quote.h"
#include "compat/log_line.h"
#include "compat/parse_words.h"

namespace headrace::compat {
namespace {

using base::ErrorKind;
using base::Result;

constexpr int kMaxLevel = 399;

// A line being taken apart: words, then a bracket of "key value" pairs, then free text. Every accessor that
// finds something else than it should remembers that, so that a kind is read straight through and judged
// once.
class Fields {
 public:
  explicit Fields(std::string_view rest) : rest_(rest) {}

  std::string word() {
    const std::string_view raw = base::take_word(rest_);
    if (raw.empty()) good_ = false;
    return base::unquote(raw);
  }
  template <class Number>
  Number number() {
    return whole<Number>(base::take_word(rest_));
  }
  int level() { return level_of(base::take_word(rest_)); }
  // Takes the next word if it is this one.
  bool accept(std::string_view expected) {
    std::string_view after = rest_;
    if (base::take_word(after) != expected) return false;
    rest_ = after;
    return true;
  }
  void expect(std::string_view expected) {
    if (!accept(expected)) good_ = false;
  }
  // Takes the next word if it begins so ("ST:"), and gives what follows; empty otherwise.
  std::string tagged(std::string_view tag) {
    std::string_view after = rest_;
    std::string value = base::unquote(base::take_word(after));
    if (!value.starts_with(tag)) return {};
    rest_ = after;
    return value.erase(0, tag.size());
  }
  static constexpr size_t kMostWords = 16;
  struct Words {
    std::array<std::string_view, kMostWords> all;
    size_t count = 0;
    size_t size() const { return count; }
    std::string_view operator[](size_t i) const { return all[i]; }
  };
  // The words before the bracket.
  Words words_to_bracket() {
    Words words;
    for (std::string_view after = rest_;; rest_ = after) {
      const std::string_view next = base::take_word(after);
      if (next.starts_with('[')) return words;
      if (next.empty() || words.count == kMostWords) break;
      words.all[words.count++] = next;
    }
    good_ = false;
    return words;
  }
  template <class Number>
  Number whole(std::string_view text) {
    const auto value = number_of<Number>(text);
    if (!value) good_ = false;
    return value.value_or(Number{});
  }
  int level_of(std::string_view text) {
    const int level = whole<int>(text);
    if (level < -1 || level > kMaxLevel) good_ = false;
    return level;
  }

  // Takes "[key value key value]" apart; ask with stat() afterwards.
  void take_bracket() {
    skip_blanks();
    const size_t end = rest_.find(']');
    if (!rest_.starts_with('[') || end == std::string_view::npos) {
      good_ = false;
      return;
    }
    std::string_view inside = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    for (std::string_view key = take_plain_word(inside); !key.empty(); key = take_plain_word(inside)) {
      const std::string_view value = take_plain_word(inside);
      if (stat_count_ < stats_.size()) stats_[stat_count_++] = {key, value};
    }
  }
  bool has_stat(std::string_view key) const { return find_stat(key) != nullptr; }
  template <class Number>
  Number stat(std::string_view key) {
    const std::string_view* value = find_stat(key);
    if (value == nullptr) {
      good_ = false;
      return Number{};
    }
    return whole<Number>(*value);
  }
  double real_stat(std::string_view key) {
    const auto value = stat<double>(key);
    if (!std::isfinite(value)) good_ = false;
    return value;
  }

  // What is left, unquoted if quoted.
  std::string text() {
    skip_blanks();
    return rest_.starts_with('"') ? base::unquote(rest_) : std::string(rest_);
  }
  // The same without the brackets around it.
  std::string bracketed_text() {
    std::string all = text();
    if (all.size() >= 2 && all.front() == '[' && all.back() == ']') all = all.substr(1, all.size() - 2);
    return all;
  }
  bool at_end() const { return rest_.find_first_not_of(" \t\r") == std::string_view::npos; }
  void fail() { good_ = false; }
  bool good() const { return good_; }

 private:
  void skip_blanks() {
    const size_t begin = rest_.find_first_not_of(" \t");
    rest_ = begin == std::string_view::npos ? std::string_view{} : rest_.substr(begin);
  }
  const std::string_view* find_stat(std::string_view key) const {
    for (size_t i = 0; i < stat_count_; ++i)
      if (stats_[i].first == key) return &stats_[i].second;
    return nullptr;
  }

  std::string_view rest_;
  // More than any line has that is known; what comes behind these is for nobody here.
  std::array<std::pair<std::string_view, std::string_view>, 16> stats_;
  size_t stat_count_ = 0;
  bool good_ = true;
};

template <class Line>
void take_dump(Fields& f, Line& line) {
  line.host = f.word();
  line.disk = f.word();
  line.timestamp = f.word();
  line.level = f.level();
}

TaperStats taper_stats(Fields& f) {
  f.take_bracket();
  TaperStats stats;
  stats.seconds = f.real_stat("sec");
  stats.kps = f.real_stat("kps");
  if (f.has_stat("bytes")) {
    stats.bytes = f.stat<uint64_t>("bytes");
  } else {
    const auto kib = f.stat<uint64_t>("kb");
    if (kib > UINT64_MAX / base::kKiB) f.fail();
    stats.bytes = kib * base::kKiB;
  }
  if (f.has_stat("orig-kb")) stats.native_kib = f.stat<int64_t>("orig-kb");
  return stats;
}

void take_where(Fields& f, std::string& storage, std::string& pool) {
  storage = f.tagged("ST:");
  pool = f.tagged("POOL:");
}

LogLine parse_dumped(Fields& f, bool strange) {
  DumpedLine line;
  line.strange = strange;
  line.host = f.word();
  line.disk = f.word();
  const auto words = f.words_to_bracket();
  const size_t plain = words.size() >= 2 && words[1].find(':') == std::string_view::npos ? 2 : 1;
  if (words.size() != plain && words.size() != plain + 2) f.fail();
  if (f.good()) {
    if (plain == 2) line.timestamp = base::unquote(words[0]);
    line.level = f.level_of(words[plain - 1]);
    line.has_crcs = words.size() > plain;
    if (line.has_crcs) {
      line.native = base::CrcAndSize::parse(words[plain]);
      line.client = base::CrcAndSize::parse(words[plain + 1]);
    }
  }
  f.take_bracket();
  line.seconds = f.real_stat("sec");
  line.stored_kib = f.stat<int64_t>("kb");
  line.kps = f.real_stat("kps");
  if (f.has_stat("orig-kb")) line.native_kib = f.stat<int64_t>("orig-kb");
  return line;
}

LogLine parse_chunked(Fields& f, bool partial) {
  ChunkedLine line;
  line.partial = partial;
  take_dump(f, line);
  const auto words = f.words_to_bracket();
  if (words.size() > 1) f.fail();
  line.has_crc = words.size() == 1;
  if (line.has_crc) line.server = base::CrcAndSize::parse(words[0]);
  f.take_bracket();
  line.seconds = f.real_stat("sec");
  line.stored_kib = f.stat<int64_t>("kb");
  line.kps = f.real_stat("kps");
  return line;
}

LogLine parse_part(Fields& f, bool partial) {
  PartLine line;
  line.partial = partial;
  take_where(f, line.storage, line.pool);
  line.label = f.word();
  line.fileno = f.number<int64_t>();
  line.host = f.word();
  line.disk = f.word();
  line.timestamp = f.word();
  const std::string of = f.word();
  const std::string_view number(of);
  const size_t slash = number.find('/');
  line.part = f.whole<int64_t>(number.substr(0, slash));
  line.total = slash == std::string_view::npos ? -1 : f.whole<int64_t>(number.substr(slash + 1));
  line.level = f.level();
  line.stats = taper_stats(f);
  if (partial) line.reason = f.text();
  return line;
}

LogLine parse_taped(Fields& f, bool partial) {
  TapedLine line;
  line.partial = partial;
  take_where(f, line.storage, line.pool);
  line.host = f.word();
  line.disk = f.word();
  line.timestamp = f.word();
  const auto words = f.words_to_bracket();
  size_t plain = 0;
  while (plain < words.size() && words[plain].find(':') == std::string_view::npos) ++plain;
  const size_t crcs = words.size() - plain;
  if (plain < 1 || plain > 2 || (crcs != 0 && crcs != 3)) f.fail();
  if (f.good()) {
    if (plain == 2) line.parts = f.whole<int64_t>(words[0]);
    line.level = f.level_of(words[plain - 1]);
    if (crcs == 3) {
      line.crcs = TapedCrcs{.native = base::CrcAndSize::parse(words[plain]),
                            .client = base::CrcAndSize::parse(words[plain + 1]),
                            .server = base::CrcAndSize::parse(words[plain + 2])};
    }
  }
  line.stats = taper_stats(f);
  if (partial) line.reason = f.text();
  return line;
}

LogLine parse_taper_fail(Fields& f) {
  TaperFailLine line;
  line.vault = f.accept("VAULT");
  take_where(f, line.storage, line.pool);
  take_dump(f, line);
  line.config = f.accept("config");
  if (!line.config) f.accept("error");
  line.reason = f.bracketed_text();
  return line;
}

LogLine parse_fail(Fields& f, std::string_view program) {
  FailLine line;
  line.program = program;
  take_dump(f, line);
  line.reason = f.bracketed_text();
  return line;
}

LogLine parse_retry(Fields& f) {
  RetryLine line;
  take_dump(f, line);
  f.expect("delay");
  line.delay_seconds = f.number<int64_t>();
  f.expect("level");
  line.retry_level = f.level();
  f.expect("message");
  line.message = f.text();
  return line;
}

LogLine parse_skipped(Fields& f) {
  SkippedLine line;
  take_dump(f, line);
  line.reason = f.bracketed_text();
  constexpr std::string_view kSkipped = "skipped: ";
  if (line.reason.starts_with(kSkipped)) line.reason.erase(0, kSkipped.size());
  return line;
}

LogLine parse_tape_start(Fields& f) {
  TapeStartLine line;
  f.expect("datestamp");
  line.datestamp = f.word();
  take_where(f, line.storage, line.pool);
  f.expect("label");
  line.label = f.word();
  if (f.accept("tape")) line.tape = f.number<int64_t>();
  return line;
}

LogLine parse_estimate(Fields& f) {
  EstimateLine line;
  take_dump(f, line);
  f.take_bracket();
  line.seconds = f.stat<int64_t>("sec");
  line.native_kib = f.stat<int64_t>("nkb");
  line.stored_kib = f.stat<int64_t>("ckb");
  line.kps = f.stat<int64_t>("kps");
  return line;
}

// One attempt to read a line as a kind: nothing when its words show that it is another.
using Attempt = std::optional<LogLine> (*)(Fields& f, std::string_view type, std::string_view program);

std::optional<LogLine> try_info(Fields& f, std::string_view type, std::string_view program) {
  if (type != "INFO") return std::nullopt;
  Fields probe = f;
  if (program == "taper" && probe.accept("tape")) {
    TapeSummaryLine line;
    line.label = probe.word();
    probe.expect("kb");
    line.kib = probe.number<int64_t>();
    probe.expect("fm");
    line.files = probe.number<int64_t>();
    line.outcome = probe.bracketed_text();
    if (probe.good()) return line;
    return std::nullopt;
  }
  if (probe.accept("pid-done")) {
    PidDoneLine line{.program = std::string(program), .pid = probe.number<int64_t>()};
    if (probe.good() && probe.at_end()) return line;
    return std::nullopt;
  }
  PidLine line;
  line.program = program;
  line.name = probe.word();
  probe.expect("pid");
  line.pid = probe.number<int64_t>();
  if (probe.good() && probe.at_end()) return line;
  return std::nullopt;
}

std::optional<LogLine> try_run(Fields& f, std::string_view type, std::string_view program) {
  if (type == "START" && program == "taper") return parse_tape_start(f);
  if (type == "START" && f.accept("date"))
    return StartLine{.program = std::string(program), .date = f.word()};
  if (type == "FINISH" && f.accept("date")) {
    FinishLine line{.program = std::string(program), .date = f.word(), .seconds = 0};
    if (f.accept("time")) line.seconds = f.number<double>();
    if (!std::isfinite(line.seconds)) f.fail();
    return line;
  }
  if (type == "DISK") {
    DiskLine line;
    line.program = program;
    line.host = f.word();
    line.disk = f.word();
    return line;
  }
  if (type != "STATS") return std::nullopt;
  if (f.accept("hostname")) return HostnameLine{.program = std::string(program), .hostname = f.text()};
  if (program == "driver" && f.accept("estimate")) return parse_estimate(f);
  if (program == "driver" && f.accept("startup")) {
    f.expect("time");
    StartupLine line{.program = std::string(program), .seconds = f.number<double>()};
    if (!std::isfinite(line.seconds)) f.fail();
    return line;
  }
  return std::nullopt;
}

std::optional<LogLine> try_dump(Fields& f, std::string_view type, std::string_view program) {
  if (program == "dumper" && (type == "SUCCESS" || type == "STRANGE")) {
    return parse_dumped(f, type == "STRANGE");
  }
  if (program == "dumper" && type == "RETRY") return parse_retry(f);
  if (program == "chunker" && (type == "SUCCESS" || type == "PARTIAL")) {
    return parse_chunked(f, type == "PARTIAL");
  }
  if (program == "planner" && type == "SUCCESS") return parse_skipped(f);
  if (type == "FAIL" && program != "taper") return parse_fail(f, program);
  return std::nullopt;
}

std::optional<LogLine> try_taper(Fields& f, std::string_view type, std::string_view program) {
  if (program != "taper") return std::nullopt;
  if (type == "PART" || type == "PARTPARTIAL") return parse_part(f, type == "PARTPARTIAL");
  if (type == "DONE" || type == "PARTIAL") return parse_taped(f, type == "PARTIAL");
  if (type == "FAIL") return parse_taper_fail(f);
  if (type == "ERROR" && f.accept("no-tape")) {
    NoTapeLine line;
    line.config = f.accept("config");
    if (!line.config) f.accept("error");
    line.reason = f.bracketed_text();
    return line;
  }
  return std::nullopt;
}

}  // namespace

bool is_about_images(std::string_view line) {
  const std::string_view type = take_plain_word(line);
  if (type == "FAIL") return true;
  const std::string_view program = take_plain_word(line);
  if (program == "dumper") return type == "SUCCESS" || type == "STRANGE";
  return program == "taper" && type != "INFO" && type != "ERROR";
}

Result<LogLine> parse_log_line(std::string_view line) {
  std::string_view rest = line;
  const std::string_view type = take_plain_word(rest);
  const std::string_view program = take_plain_word(rest);
  if (type.empty()) return base::fail(ErrorKind::corrupt, "an empty line");
  for (const Attempt attempt : std::array<Attempt, 4>{try_info, try_run, try_dump, try_taper}) {
    Fields fields(rest);
    if (auto parsed = attempt(fields, type, program)) {
      if (fields.good()) return *std::move(parsed);
      return base::fail(ErrorKind::corrupt,
                        fmt::format("a \"{} {}\" line with a field wrong or missing", type, program));
    }
  }
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  return NoteLine{
      .type = std::string(type), .program = std::string(program), .text = std::string(rest), .messages = {}};
}

}  // namespace headrace::compat
