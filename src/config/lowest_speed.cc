#include "config/lowest_speed.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/units.h"

namespace headrace::config {

base::Result<int64_t> lowest_kps(const Properties& properties, std::string_view tapetype) {
  const auto property = std::ranges::find(properties, kLowestSpeedProperty, &Property::name);
  if (property == properties.end() || property->values.empty()) return 0;
  const auto& values = property->values;
  auto rate = parse_rate(values.front());
  if (!rate)
    return base::fail(base::ErrorKind::refused,
                      fmt::format("property \"{}\": {}", kLowestSpeedProperty, rate.error().what()));
  const bool meant =
      values.size() == 1 || std::ranges::any_of(values.begin() + 1, values.end(),
                                                [tapetype](const auto& it) { return it == tapetype; });
  return meant ? *rate / kKi : 0;
}

}  // namespace headrace::config
