#include "wire/noop.h"

#include "wire/options.h"
#include "wire/packet.h"
#include "wire/text.h"

namespace headrace::wire {

std::string encode_noop_request(const FeatureSet& ours) { return "OPTIONS features=" + ours.hex() + ";\n"; }

FeatureSet parse_noop_request(std::string_view arguments) {
  return features_of_reply(arguments).value_or(FeatureSet::assumed_default());
}

std::string encode_noop_reply(const FeatureSet& ours) { return encode_noop_request(ours); }

base::Result<FeatureSet> parse_noop_reply(std::string_view body) {
  const auto features = features_of_reply(body);
  if (features) return *features;
  while (!body.empty()) {
    std::string_view line = take_line(body);
    if (take_prefix(line, "ERROR ")) return base::fail(base::ErrorKind::refused, one_line(line));
  }
  return FeatureSet::assumed_default();
}

bool nak_means_no_noop(std::string_view body) {
  const std::string text = nak_text(body);
  return text.starts_with("unknown service: noop") || text.starts_with("noop: invalid service");
}

}  // namespace headrace::wire
