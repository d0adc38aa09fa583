// Disk list entries in XML: what can be read can be written and read again.
#include "fuzz.h"
#include "wire/dle.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto dles = wire::parse_dles_xml(fuzz::as_text(data, size));
  if (!dles) return 0;
  for (const wire::Dle& dle : *dles) {
    (void)wire::encode_dle_xml(dle, wire::DleFor::header, wire::FeatureSet::amanda_351());
    (void)wire::encode_dle_lines(dle, wire::DleFor::sendsize, wire::FeatureSet::amanda_351());
  }
  return 0;
}
