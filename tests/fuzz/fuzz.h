// What every fuzz target includes: the entry point that libFuzzer (or replay_main.cc) calls with one input. A
// target is one small NAME_fuzz.cc; its seeds stand in corpus/NAME/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace headrace::fuzz {

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Ends the process, so that the fuzzer keeps the input: a promise of the parser does not hold.
inline void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace headrace::fuzz
