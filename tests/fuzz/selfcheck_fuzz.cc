// A selfcheck reply, lines or JSON messages.
#include "fuzz.h"
#include "wire/selfcheck.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto reply = wire::parse_selfcheck_reply(fuzz::as_text(data, size));
  if (!reply) return 0;
  const auto peer = wire::FeatureSet::amanda_351();
  const auto again = wire::parse_selfcheck_reply(wire::encode_selfcheck_reply(reply->messages, peer, peer));
  fuzz::require(again && again->messages.size() == reply->messages.size());
  return 0;
}
