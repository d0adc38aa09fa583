// A UDP packet.
#include "fuzz.h"
#include "wire/packet.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto datagram = wire::decode_datagram(base::as_bytes(fuzz::as_text(data, size)));
  if (!datagram) return 0;
  const auto bytes = wire::encode_datagram(*datagram);
  if (bytes) fuzz::require(*wire::decode_datagram(base::as_bytes(*bytes)) == *datagram);
  return 0;
}
