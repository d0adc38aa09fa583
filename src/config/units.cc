#include "config/units.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/quote.h"

namespace headrace::config {

base::Result<int64_t> parse_rate(std::string_view text) {
  const auto refused = [text](std::string_view why) {
    return base::fail(
        base::ErrorKind::refused,
        fmt::format("{}: {}; a rate is \"none\" or a number with a unit, as \"10 mbps\", \"5 MB/s\" or "
                    "\"800\" (KiB/s)",
                    base::quote(std::string(text)), why));
  };
  std::string word;
  for (const char c : text) word += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  const auto strip = [&word] {
    word.erase(0, word.find_first_not_of(' '));
    word.erase(word.find_last_not_of(' ') + 1);
  };
  strip();
  if (word == "NONE") return 0;
  double number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return refused("it does not begin with a number");
  word.erase(0, static_cast<size_t>(end - word.data()));
  if (word.ends_with("/S")) word.erase(word.size() - 2);
  strip();
  double factor = kKi;
  if (!word.empty()) {
    factor = 0;
    for (const Unit& unit : kUnits)
      if (listed(unit.names, word) && !word.starts_with("DAY") && !word.starts_with("TAPE") &&
          !word.starts_with("WEEK"))
        factor = static_cast<double>(unit.factor);
    if (factor == 0) return refused("the unit is not known");
  }
  const double rate = number * factor;
  // Beyond an exabyte a second nobody meant it.
  constexpr double kMost = 1e18;
  if (!(rate >= kKi)) return refused("less than 1 KiB/s is no rate; \"headrace pause\" stops a dump");
  if (rate > kMost) return refused("it is too large");
  return static_cast<int64_t>(rate);
}

}  // namespace headrace::config
