// A control packet as a frame's payload, and the request inside it.
#include "fuzz.h"
#include "wire/packet.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto packet = wire::decode_frame_packet(base::as_bytes(fuzz::as_text(data, size)));
  if (!packet) return 0;
  fuzz::require(*wire::decode_frame_packet(base::as_bytes(wire::encode_frame_packet(*packet))) == *packet);
  const auto request = wire::parse_request(packet->body);
  if (request) fuzz::require(wire::encode_request(*request) == packet->body);
  fuzz::require(wire::nak_body(wire::nak_text(packet->body)).find('\n') != std::string::npos);
  return 0;
}
