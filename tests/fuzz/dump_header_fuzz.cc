// A header block: what can be read and is fit to be written comes back the same.
#include "fuzz.h"
#include "wire/dump_header.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto header = wire::parse_header(base::as_bytes(fuzz::as_text(data, size)));
  if (!header) return 0;
  const auto text = wire::encode_header_text(*header);
  if (!text) return 0;
  const auto again = wire::parse_header(base::as_bytes(*text));
  fuzz::require(again && again->host == header->host && again->disk == header->disk &&
                again->type == header->type && again->level == header->level && again->part == header->part);
  return 0;
}
