// An OPTIONS line and the features in it.
#include "fuzz.h"
#include "wire/noop.h"
#include "wire/options.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = fuzz::as_text(data, size);
  (void)wire::features_of_reply(text);
  (void)wire::parse_noop_reply(text);
  auto options = wire::parse_options_line(text);
  if (!options) return 0;
  fuzz::require(options->maxdumps >= 1 && options->maxdumps <= wire::kMaxMaxdumps);
  options->unknown.clear();
  const auto again = wire::parse_options_line(wire::encode_options(*options, wire::FeatureSet::amanda_351()));
  fuzz::require(again && *again == *options);
  return 0;
}
