#include "server/catalog/dates.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"

namespace headrace::catalog {
namespace {

constexpr int64_t kDatesDifferSeconds = int64_t{25} * 3600;

}  // namespace

std::string latest_date(int64_t now_unix) { return base::timestamp14(now_unix + kDatesDifferSeconds); }

std::string text_of(const std::vector<DumpFact>& dumps) {
  std::string text;
  for (const DumpFact& dump : dumps)
    text += fmt::format("{}{} level {}", text.empty() ? "" : ", ", dump.timestamp, dump.level);
  return text;
}

std::string doubt_about(const std::vector<Image>& chain, const std::vector<DumpFact>& misdated) {
  const auto in_chain = [&](const DumpFact& dump) {
    return std::ranges::any_of(chain, [&](const Image& image) {
      return image.timestamp == dump.timestamp && image.level == dump.level;
    });
  };
  for (const DumpFact& dump : misdated) {
    if (in_chain(dump)) {
      if (dump.level == 0) continue;
      return fmt::format(
          "{} level {} is dated in the future: when it was made, and so which dump it builds on, "
          "nobody knows",
          dump.timestamp, dump.level);
    }
    for (const Image& image : chain) {
      if (image.level <= dump.level) continue;
      return fmt::format(
          "{} level {} may build on the dump that is dated {} (level {}) and was made nobody knows when",
          image.timestamp, image.level, dump.timestamp, dump.level);
    }
  }
  return {};
}

}  // namespace headrace::catalog
