// The speed below which a drive stops, winds back and starts again: what the operator knows of the drives of
// a tapetype and Amanda has no parameter for. `property "headrace-lowest-speed" "60 MB/s"` of the
// configuration itself says it for all, with names of tapetypes behind it for these. Amanda takes such
// properties as information for other programs. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "config/values.h"

namespace headrace::config {

inline constexpr const char* kLowestSpeedProperty = "headrace-lowest-speed";

// KiB/s; 0: nothing is said of that tapetype. Refused: what is said is no rate.
base::Result<int64_t> lowest_kps(const Properties& properties, std::string_view tapetype);

}  // namespace headrace::config
