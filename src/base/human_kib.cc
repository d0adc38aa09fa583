#include "base/human_kib.h"

#include <fmt/format.h>

namespace headrace::base {

std::string human_kib(uint64_t kib) {
  constexpr uint64_t kEnough = 10 * uint64_t{1024};  // of a unit, for the next one
  if (kib < kEnough) return fmt::format("{} KiB", kib);
  if (kib < kEnough * 1024) return fmt::format("{} MiB", kib / 1024);
  return fmt::format("{} GiB", kib / 1024 / 1024);
}

}  // namespace headrace::base
