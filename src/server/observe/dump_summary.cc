#include "server/observe/dump_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/bytes.h"
#include "base/quote.h"
#include "server/observe/text.h"

namespace headrace::observe {
namespace {

using journal::DumpState;
using journal::Phase;

constexpr size_t kColumns = 10;
// Least widths and whether figures; a gap of one blank before each but the first. The first two grow with the
// names.
struct Column {
  size_t least;
  bool right;
};
constexpr std::array<Column, kColumns> kForm = {{{12, false},
                                                 {11, false},
                                                 {1, true},
                                                 {7, true},
                                                 {7, true},
                                                 {6, true},
                                                 {7, true},
                                                 {7, true},
                                                 {6, true},
                                                 {7, true}}};
constexpr size_t kDumperFrom = 6;
constexpr size_t kTaperFrom = 8;

struct Row {
  std::array<std::string, kColumns> cells;
  // In place of figures, centred over dumper or taper columns.
  std::string dumper_word, taper_word, remark;
};

std::string minutes(double seconds) {
  const auto whole = std::llround(std::clamp(std::isfinite(seconds) ? seconds : 0, 0.0, 1e9));
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}
std::string kps(uint64_t kib, double seconds) {
  return seconds > 0 ? fmt::format("{:.1f}", static_cast<double>(kib) / seconds) : "--";
}

std::vector<const journal::WritingState*> written_of(const DumpState& dump) {
  std::vector<const journal::WritingState*> written;
  for (const auto& it : dump.writings)
    if (it.written) written.push_back(&it);
  return written;
}

void add_written(Row& row, const journal::WritingState& writing) {
  row.cells[8] = minutes(writing.seconds);
  row.cells[9] = kps(base::to_kib(writing.bytes), writing.seconds);
}

// As amreport: a line for each further storage that has it.
void add_further_copies(std::vector<Row>& rows, const DumpState& dump) {
  const auto written = written_of(dump);
  for (size_t i = dump.phase == Phase::written ? 1 : 0; i < written.size(); ++i) {
    Row& row = rows.emplace_back();
    row.dumper_word = "FLUSH";
    add_written(row, *written[i]);
  }
}

Row row_of(const DumpState& dump, const ReportOptions& options) {
  Row row;
  const auto size = [&options](uint64_t kib) {
    return fmt::format("{:.0f}", std::ceil(static_cast<double>(kib) / static_cast<double>(options.unit_kib)));
  };
  row.cells[0] = printable(dump.image.host);
  row.cells[1] = printable(base::quote(dump.image.disk));
  if (dump.phase != Phase::chosen) row.cells[2] = std::to_string(dump.image.level);
  const bool sized = dump.dumped || dump.flush;
  if (sized) {
    if (dump.native_kib > 0) row.cells[3] = size(dump.native_kib);
    row.cells[4] = size(dump.stored_kib);
    row.cells[5] = dump.native_kib == 0 || dump.native_kib == dump.stored_kib
                       ? "--"
                       : fmt::format("{:.1f}", static_cast<double>(dump.stored_kib) * 100 /
                                                   static_cast<double>(dump.native_kib));
  }
  if (dump.dumped) {
    row.cells[6] = minutes(dump.dump_seconds);
    row.cells[7] = kps(dump.stored_kib, dump.dump_seconds);
  }
  // That some storage has it is said; what is missing is said by the word.
  const auto written = written_of(dump);
  if (dump.phase == Phase::written && !written.empty()) add_written(row, *written.front());
  const bool over = options.life != Life::running;
  if (is_missing(dump, options.life))
    row.dumper_word = "MISSING";
  else if (dump.phase == Phase::failed)
    row.dumper_word = "FAILED";
  else if (dump.phase == Phase::skipped)
    row.dumper_word = "SKIPPED";
  else if (dump.flush)
    row.dumper_word = "FLUSH";
  else if (!dump.dumped)
    row.dumper_word = state_word(dump, options.life);
  const bool partial =
      std::ranges::any_of(dump.writings, [](const auto& it) { return !it.failure.empty() && it.partial; });
  if (sized && partial && dump.phase != Phase::written)
    row.taper_word = "PARTIAL";
  else if (sized && dump.phase != Phase::written && (over || dump.phase == Phase::left))
    row.taper_word = "ON HOLDING";
  if (dump.strange) row.remark = "STRANGE";
  if (dump.retried()) row.remark += row.remark.empty() ? "RETRIED" : ", RETRIED";
  return row;
}

std::string centred(const std::string& word, size_t width) {
  const size_t used = width_of(word);
  if (used >= width) return word;
  const size_t before = (width - used) / 2;
  return std::string(before, ' ') + word + std::string(width - used - before, ' ');
}

class Layout {
 public:
  explicit Layout(const std::vector<Row>& rows, const Row& titles) {
    for (size_t i = 0; i < kColumns; ++i) {
      widths_[i] = std::max(kForm[i].least, width_of(titles.cells[i]));
      for (const auto& row : rows) widths_[i] = std::max(widths_[i], width_of(row.cells[i]));
    }
  }

  size_t span(size_t from, size_t to) const {
    size_t width = to - from - 1;
    for (size_t i = from; i < to; ++i) width += widths_[i];
    return width;
  }

  std::string line(const Row& row) const {
    std::string out = cells(row, 0, kDumperFrom) + " ";
    out += row.dumper_word.empty() ? cells(row, kDumperFrom, kTaperFrom)
                                   : centred(row.dumper_word, span(kDumperFrom, kTaperFrom));
    out += " ";
    out += row.taper_word.empty() ? cells(row, kTaperFrom, kColumns)
                                  : centred(row.taper_word, span(kTaperFrom, kColumns));
    if (!row.remark.empty()) out += " " + row.remark;
    out.erase(out.find_last_not_of(' ') + 1);
    return out + "\n";
  }

 private:
  std::string cells(const Row& row, size_t from, size_t to) const {
    std::string out;
    for (size_t i = from; i < to; ++i) {
      const std::string blanks(widths_[i] - width_of(row.cells[i]), ' ');
      if (i > from) out += " ";
      out += kForm[i].right ? blanks + row.cells[i] : row.cells[i] + blanks;
    }
    return out;
  }

  std::array<size_t, kColumns> widths_{};
};

}  // namespace

std::string dump_summary(const journal::RunState& state, const ReportOptions& options) {
  if (state.dumps.empty()) return {};
  std::vector<const DumpState*> order;
  order.reserve(state.dumps.size());
  for (const auto& dump : state.dumps) order.push_back(&dump);
  std::ranges::sort(order, {}, [](const DumpState* dump) {
    return std::tie(dump->image.host, dump->image.disk, dump->image.timestamp);
  });
  std::vector<Row> rows;
  rows.reserve(order.size());
  for (const auto* dump : order) {
    rows.push_back(row_of(*dump, options));
    add_further_copies(rows, *dump);
  }

  const char unit =
      static_cast<char>(options.unit >= 'a' && options.unit <= 'z' ? options.unit - 32 : options.unit);
  const Row titles{.cells = {"HOSTNAME", "DISK", "L", fmt::format("ORIG-{}B", unit),
                             fmt::format("OUT-{}B", unit), "COMP%", "MMM:SS", "KB/s", "MMM:SS", "KB/s"},
                   .dumper_word = {},
                   .taper_word = {},
                   .remark = {}};
  const Layout layout(rows, titles);
  const size_t before = layout.span(0, kDumperFrom);
  const size_t dumper = layout.span(kDumperFrom, kTaperFrom);
  const size_t taper = layout.span(kTaperFrom, kColumns);
  std::string groups =
      std::string(before, ' ') + " " + centred("DUMPER STATS", dumper) + " " + centred("TAPER STATS", taper);
  groups.erase(groups.find_last_not_of(' ') + 1);
  std::string out = groups + "\n" + layout.line(titles);
  const size_t names = layout.span(0, 3);
  out += std::string(names, '-') + " " + std::string(before - names - 1, '-') + " " +
         std::string(dumper, '-') + " " + std::string(taper, '-') + "\n";
  for (const auto& row : rows) out += layout.line(row);
  return out;
}

}  // namespace headrace::observe
