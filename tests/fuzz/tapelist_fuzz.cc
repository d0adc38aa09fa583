// What parses as a tapelist comes back from its own text unchanged.
#include "compat/tapelist.h"
#include "fuzz.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto list = compat::Tapelist::parse(fuzz::as_text(data, size), "input");
  if (!list) return 0;
  const auto again = compat::Tapelist::parse(list->text(), "text");
  fuzz::require(again && again->entries() == list->entries());
  return 0;
}
