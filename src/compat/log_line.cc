#include "compat/log_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/quote.h"

namespace headrace::compat {
namespace {

using base::quote;

// A log is read line by line: free text must not make lines of its own.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::ranges::replace(line, '\n', ' ');
  std::ranges::replace(line, '\r', ' ');
  return line;
}

std::string continuation(const std::vector<std::string>& messages) {
  std::string text;
  for (const std::string& message : messages) text += "  " + one_line(message) + '\n';
  return text;
}

std::string dump(const std::string& host, const std::string& disk, const std::string& timestamp, int level) {
  return fmt::format("{} {} {} {}", quote(host), quote(disk), quote(timestamp), level);
}

// `"ST:s" "POOL:p"`, each with a blank before it, so far as they are known.
std::string where(const std::string& storage, const std::string& pool) {
  std::string text;
  if (!storage.empty()) text += ' ' + base::quote_always("ST:" + storage);
  if (!pool.empty()) text += ' ' + base::quote_always("POOL:" + pool);
  return text;
}

std::string bracket(const TaperStats& stats) {
  std::string text = fmt::format("[sec {:f} bytes {} kps {:f}", stats.seconds, stats.bytes, stats.kps);
  if (stats.native_kib >= 0) text += fmt::format(" orig-kb {}", stats.native_kib);
  return text + ']';
}

struct Formatter {
  std::string operator()(const PidLine& l) const {
    return fmt::format("INFO {} {} pid {}\n", l.program, quote(l.name), l.pid);
  }
  std::string operator()(const PidDoneLine& l) const {
    return fmt::format("INFO {} pid-done {}\n", l.program, l.pid);
  }
  std::string operator()(const StartLine& l) const {
    return fmt::format("START {} date {}\n", l.program, quote(l.date));
  }
  std::string operator()(const FinishLine& l) const {
    // amvault, alone, counts whole seconds.
    const int digits = l.program == "amvault" ? 0 : 3;
    return fmt::format("FINISH {} date {} time {:.{}f}\n", l.program, quote(l.date), l.seconds, digits);
  }
  std::string operator()(const DiskLine& l) const {
    return fmt::format("DISK {} {} {}\n", l.program, quote(l.host), quote(l.disk));
  }
  std::string operator()(const HostnameLine& l) const {
    return fmt::format("STATS {} hostname {}\n", l.program, quote(l.hostname));
  }
  std::string operator()(const StartupLine& l) const {
    return fmt::format("STATS {} startup time {:.3f}\n", l.program, l.seconds);
  }
  std::string operator()(const EstimateLine& l) const {
    return fmt::format("STATS driver estimate {} [sec {} nkb {} ckb {} kps {}]\n",
                       dump(l.host, l.disk, l.timestamp, l.level), l.seconds, l.native_kib, l.stored_kib,
                       l.kps);
  }
  std::string operator()(const SkippedLine& l) const {
    return fmt::format("SUCCESS planner {} [skipped: {}]\n", dump(l.host, l.disk, l.timestamp, l.level),
                       one_line(l.reason));
  }
  std::string operator()(const FailLine& l) const {
    const std::string reason = "[" + one_line(l.reason) + "]";
    return fmt::format("FAIL {} {} {}\n", l.program, dump(l.host, l.disk, l.timestamp, l.level),
                       l.program == "planner" ? base::quote_always(reason) : reason) +
           continuation(l.messages);
  }
  std::string operator()(const RetryLine& l) const {
    return fmt::format("RETRY dumper {} delay {} level {} message {}\n",
                       dump(l.host, l.disk, l.timestamp, l.level), l.delay_seconds, l.retry_level,
                       base::quote_always(l.message));
  }
  std::string operator()(const DumpedLine& l) const {
    std::string text = l.strange
                           ? fmt::format("STRANGE dumper {} {} {}", quote(l.host), quote(l.disk), l.level)
                           : fmt::format("SUCCESS dumper {}", dump(l.host, l.disk, l.timestamp, l.level));
    if (l.has_crcs) text += fmt::format(" {} {}", l.native.text(), l.client.text());
    text += fmt::format(" [sec {:.3f} kb {} kps {:.1f}", l.seconds, l.stored_kib, l.kps);
    if (l.native_kib >= 0) text += fmt::format(" orig-kb {}", l.native_kib);
    return text + "]\n" + continuation(l.messages);
  }
  std::string operator()(const ChunkedLine& l) const {
    std::string text = fmt::format("{} chunker {}", l.partial ? "PARTIAL" : "SUCCESS",
                                   dump(l.host, l.disk, l.timestamp, l.level));
    if (l.has_crc) text += ' ' + l.server.text();
    return text + fmt::format(" [sec {:f} kb {} kps {:f}]\n", l.seconds, l.stored_kib, l.kps);
  }
  std::string operator()(const TapeStartLine& l) const {
    return fmt::format("START taper datestamp {}{} label {} tape {}\n", quote(l.datestamp),
                       where(l.storage, l.pool), quote(l.label), l.tape);
  }
  std::string operator()(const PartLine& l) const {
    std::string text =
        fmt::format("{} taper{} {} {} {} {} {} {}/{} {} {}", l.partial ? "PARTPARTIAL" : "PART",
                    where(l.storage, l.pool), quote(l.label), l.fileno, quote(l.host), quote(l.disk),
                    quote(l.timestamp), l.part, l.total, l.level, bracket(l.stats));
    if (l.partial) text += ' ' + base::quote_always(l.reason);
    return text + '\n';
  }
  std::string operator()(const TapedLine& l) const {
    std::string text =
        fmt::format("{} taper{} {} {} {}", l.partial ? "PARTIAL" : "DONE", where(l.storage, l.pool),
                    quote(l.host), quote(l.disk), quote(l.timestamp));
    if (l.parts >= 0) text += fmt::format(" {}", l.parts);
    text += fmt::format(" {}", l.level);
    if (l.crcs) {
      text += fmt::format(" {} {} {}", l.crcs->native.text(), l.crcs->client.text(), l.crcs->server.text());
    }
    text += ' ' + bracket(l.stats);
    if (l.partial) text += ' ' + base::quote_always(l.reason);
    return text + '\n';
  }
  std::string operator()(const TaperFailLine& l) const {
    return fmt::format("FAIL taper{}{} {} {} {}\n", l.vault ? " VAULT" : "", where(l.storage, l.pool),
                       dump(l.host, l.disk, l.timestamp, l.level), l.config ? "config" : "error",
                       base::quote_always(l.reason));
  }
  std::string operator()(const NoTapeLine& l) const {
    return fmt::format("ERROR taper no-tape {} [{}]\n", l.config ? "config" : "error", one_line(l.reason));
  }
  std::string operator()(const TapeSummaryLine& l) const {
    return fmt::format("INFO taper tape {} kb {} fm {} [{}]\n", quote(l.label), l.kib, l.files,
                       one_line(l.outcome));
  }
  std::string operator()(const NoteLine& l) const {
    std::string text = fmt::format("{} {}", l.type, l.program);
    if (!l.text.empty()) text += ' ' + one_line(l.text);
    return text + '\n' + continuation(l.messages);
  }
};

}  // namespace

TaperStats TaperStats::of(double seconds, uint64_t bytes, int64_t native_kib) {
  constexpr double kNoTime = 0.1;
  const double s = seconds > 0 ? seconds : kNoTime;
  return {.seconds = s,
          .bytes = bytes,
          .kps = static_cast<double>(bytes / base::kKiB) / s,
          .native_kib = native_kib};
}

std::string format(const LogLine& line) { return std::visit(Formatter{}, line); }

}  // namespace headrace::compat
