// An event that parses comes back from its own line unchanged.
#include "fuzz.h"
#include "journal/codec.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto event = journal::parse(fuzz::as_text(data, size));
  if (!event) return 0;
  const auto again = journal::parse(journal::encode(*event));
  fuzz::require(again && journal::encode(*again) == journal::encode(*event));
  return 0;
}
