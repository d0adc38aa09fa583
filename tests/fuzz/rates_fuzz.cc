// What parses as a file of rates comes back from its own text unchanged.
#include "fuzz.h"
#include "journal/rates.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto rates = journal::Rates::parse(fuzz::as_text(data, size), "input");
  if (!rates) return 0;
  const auto again = journal::Rates::parse(rates->text(), "text");
  fuzz::require(again && again->disks == rates->disks && again->volumes == rates->volumes);
  return 0;
}
