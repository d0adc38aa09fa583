// A client's meter line: what is read is bounded, and reads the same once written again.
#include <string>

#include "fuzz.h"
#include "wire/meter_line.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto meter = wire::parse_meter(fuzz::as_text(data, size));
  if (!meter) return 0;
  fuzz::require(meter->joints.size() <= wire::kMaxMeterItems &&
                meter->programs.size() <= wire::kMaxMeterItems);
  const auto again = wire::encode_meter(*meter);
  fuzz::require(again.size() < wire::kMaxMeterLineBytes && wire::parse_meter(again) == meter);
  return 0;
}
