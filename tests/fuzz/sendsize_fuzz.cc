// A sendsize reply.
#include "fuzz.h"
#include "wire/sendsize.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto reply = wire::parse_sendsize_reply(fuzz::as_text(data, size));
  if (!reply) return 0;
  const auto again =
      wire::parse_sendsize_reply(wire::encode_sendsize_reply(*reply, wire::FeatureSet::amanda_351()));
  fuzz::require(again && again->estimates.size() == reply->estimates.size());
  return 0;
}
