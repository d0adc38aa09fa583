// A changer's state that parses comes back from its own text unchanged.
#include "fuzz.h"
#include "server/volume/vtape/perl_value.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto value = vtape::parse_perl_assignment(fuzz::as_text(data, size));
  if (!value) return 0;
  const auto again = vtape::parse_perl_assignment(vtape::perl_assignment("STATE", *value));
  fuzz::require(again && *again == *value);
  return 0;
}
