// Arguments of a request about disks, in either form. The first byte chooses the service.
#include "fuzz.h"
#include "wire/dle_request.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto purpose = static_cast<wire::DleFor>(data[0] % 3);
  const auto request = wire::parse_dle_request(fuzz::as_text(data + 1, size - 1), purpose);
  if (!request) {
    fuzz::require(!request.error().what().empty());
    return 0;
  }
  (void)wire::encode_dle_request(*request, purpose, wire::FeatureSet::amanda_351());
  (void)wire::encode_dle_request(*request, purpose, wire::FeatureSet::assumed_default());
  return 0;
}
