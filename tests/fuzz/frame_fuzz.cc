// The frame decoder: the same pieces whether the input comes whole or in parts. The first byte says how it is
// cut.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.h"
#include "wire/frame.h"

using namespace headrace;

namespace {

// Handles and payload of all frames, and how decoding ended.
std::string read_all(base::Bytes wire, size_t step) {
  wire::FrameDecoder decoder;
  std::string out;
  while (!wire.empty()) {
    base::Bytes input = wire.first(std::min(step, wire.size()));
    wire = wire.subspan(input.size());
    while (true) {
      const auto piece = decoder.next(input);
      if (!piece) return out + "failed";
      if (!*piece) break;
      if ((*piece)->first) out += "[" + std::to_string((*piece)->handle) + ":";
      out += base::as_text((*piece)->payload);
      if ((*piece)->last) out += "]";
    }
    fuzz::require(input.empty());
  }
  return out + (decoder.at_boundary() ? "whole" : "more");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const base::Bytes wire = base::as_bytes(fuzz::as_text(data + 1, size - 1));
  fuzz::require(read_all(wire, wire.size() + 1) == read_all(wire, size_t{data[0]} + 1));
  return 0;
}
