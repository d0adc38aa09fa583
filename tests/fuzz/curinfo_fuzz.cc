// What parses as an info record is written the same way ever after, and keeps its bounds when a dump is
// added.
#include "compat/curinfo.h"
#include "fuzz.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto info = compat::Curinfo::parse(fuzz::as_text(data, size), "input");
  if (!info) return 0;
  const std::string text = info->text();
  const auto again = compat::Curinfo::parse(text, "text");
  fuzz::require(again && again->text() == text);
  info->record_dump(
      {.level = 1, .native_kib = 2, .stored_kib = 1, .seconds = 1, .unixtime = 1, .compressed = true});
  fuzz::require(info->history.size() <= compat::kMaxHistory && info->stats_of(2) == nullptr);
  return 0;
}
