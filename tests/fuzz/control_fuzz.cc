// Requests and replies of the control socket: what parses comes back from its own line unchanged.
#include "fuzz.h"
#include "server/observe/control_codec.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto line = fuzz::as_text(data, size);
  if (const auto request = observe::parse_control_request(line)) {
    const auto again = observe::parse_control_request(observe::encode(*request));
    fuzz::require(again && *again == *request);
  }
  if (const auto reply = observe::parse_control_reply(line)) {
    const auto again = observe::parse_control_reply(observe::encode(*reply));
    fuzz::require(again && *again == *reply);
  }
  return 0;
}
