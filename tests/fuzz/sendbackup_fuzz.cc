// A sendbackup reply, and the same bytes as a MESG stream: the same lines however they are cut.
#include <algorithm>
#include <string>

#include "fuzz.h"
#include "wire/lines.h"
#include "wire/sendbackup.h"

using namespace headrace;

namespace {

std::string read_mesg(base::Bytes bytes, size_t step) {
  wire::LineSplitter splitter(4096);
  std::string out;
  while (!bytes.empty()) {
    const base::Bytes input = bytes.first(std::min(step, bytes.size()));
    bytes = bytes.subspan(input.size());
    const auto added = splitter.add(
        input, [&out](std::string_view line) { out += wire::encode_mesg(wire::classify_mesg(line)); });
    if (!added) return out + "failed";
  }
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = fuzz::as_text(data, size);
  const auto reply = wire::parse_sendbackup_reply(text);
  if (reply) {
    const auto again =
        wire::parse_sendbackup_reply(wire::encode_sendbackup_reply(*reply, wire::FeatureSet::amanda_351()));
    fuzz::require(again && again->streams == reply->streams && again->retry == reply->retry);
  }
  fuzz::require(read_mesg(base::as_bytes(text), size + 1) == read_mesg(base::as_bytes(text), 7));
  return 0;
}
