#include "server/observe/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/quote.h"

namespace headrace::observe {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// Bytes of the well-formed UTF-8 character at the front; 0 when there is none.
size_t character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if (!continues(text[i])) return 0;
  // U+0080 to U+009F are control characters too; terminals obey some.
  if (lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) return 0;
  return length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    const size_t length = byte < 0x20 || byte == 0x7F ? 0 : character(text);
    if (length == 0)
      out += fmt::format("\\{:03o}", byte);
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string first_line(std::string_view text) { return printable(text.substr(0, text.find('\n'))); }

std::string dle_name(const journal::ImageId& image) {
  return printable(image.host + ":" + base::quote(image.disk));
}

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return !continues(c); }));
}

std::string cut(std::string_view text, size_t width) {
  if (width_of(text) <= width) return std::string(text);
  if (width == 0) return {};
  size_t end = 0;
  size_t characters = 0;
  while (end < text.size() && (continues(text[end]) || characters + 1 < width)) {
    if (!continues(text[end])) ++characters;
    ++end;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string fit(std::string_view text, size_t width) {
  std::string out = cut(text, width);
  out.append(width - width_of(out), ' ');
  return out;
}

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::isfinite(seconds) ? std::clamp(seconds, 0.0, 1e9) : 0);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string clock_time(int64_t wall_us) {
  std::string stamp = base::timestamp14(wall_us / 1'000'000);
  if (stamp.size() != 14) return stamp;
  return stamp.substr(8, 2) + ":" + stamp.substr(10, 2) + ":" + stamp.substr(12, 2);
}

std::string readable_timestamp(const std::string& t) {
  if (t.size() != 14) return printable(t);
  return printable(fmt::format("{}-{}-{} {}:{}:{}", t.substr(0, 4), t.substr(4, 2), t.substr(6, 2),
                               t.substr(8, 2), t.substr(10, 2), t.substr(12, 2)));
}

std::string rate(uint64_t bytes, double seconds) {
  if (seconds <= 0 || bytes == 0) return {};
  return base::human_bytes(static_cast<uint64_t>(std::min(static_cast<double>(bytes) / seconds, 1e18))) +
         "/s";
}

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return {};
  // Rounded down: 100% means all.
  return fmt::format("{:.0f}%", std::floor(static_cast<double>(part) * 100 / static_cast<double>(whole)));
}

std::string count_of(uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

void Table::row(std::vector<std::string> cells) {
  HEADRACE_CHECK(cells.size() <= columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::string_view indent) const {
  std::vector<size_t> widths(columns_.size());
  for (const auto& cells : rows_)
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
  std::string out;
  for (const auto& cells : rows_) {
    std::string line(indent);
    bool first = true;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (widths[i] == 0) continue;
      if (!first) line += "  ";
      first = false;
      const std::string blanks(widths[i] - width_of(cells[i]), ' ');
      line += columns_[i] == Align::left ? cells[i] + blanks : blanks + cells[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace headrace::observe
