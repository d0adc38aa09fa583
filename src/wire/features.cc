#include "wire/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace headrace::wire {

namespace {

struct Row {
  Feature feature;
  std::string_view name;
  bool advertised;  // by 3.5.1
  bool assumed;     // of peers that send no set
};

constexpr auto kRows = std::to_array<Row>({
#define HEADRACE_FEATURE(bit, name, advertised, assumed) \
  {Feature::name, #name, (advertised) != 0, (assumed) != 0},
#include "wire/feature_list.inc"
#undef HEADRACE_FEATURE
});
static_assert(kRows.size() == kFeatureCount);

FeatureSet pick(bool Row::* column) {
  FeatureSet out;
  for (const Row& row : kRows) {
    if (row.*column) out.add(row.feature);
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string_view name_of(Feature feature) {
  const auto bit = static_cast<size_t>(feature);
  if (feature == Feature::headrace_meters) return "headrace_meters";
  return bit < kRows.size() ? kRows[bit].name : "unknown";
}

std::string FeatureSet::hex() const {
  std::string out;
  size_t end = kFeatureCount;
  for (size_t bit = kFirstOwnFeature; bit < kFeatureBits; ++bit) {
    if (bits_.test(bit)) end = bit + 1;
  }
  for (size_t first = 0; first < end; first += 8) {
    unsigned byte = 0;
    for (size_t k = 0; k < 8; ++k) {
      if (bits_.test(first + k)) byte |= 1U << k;
    }
    out += fmt::format("{:02x}", byte);
  }
  return out;
}

std::optional<FeatureSet> FeatureSet::parse(std::string_view text) {
  if (!std::ranges::all_of(text, [](char c) { return hex_digit(c) >= 0; })) return std::nullopt;
  FeatureSet out;
  for (size_t i = 0; i + 1 < text.size() && i * 4 < kFeatureBits; i += 2) {
    const auto byte = static_cast<unsigned>(hex_digit(text[i]) * 16 + hex_digit(text[i + 1]));
    for (size_t k = 0; k < 8; ++k) {
      const size_t bit = i * 4 + k;
      const bool known = bit < kFeatureCount || (bit >= kFirstOwnFeature && bit < kFeatureBits);
      if ((byte >> k & 1U) != 0 && known) out.bits_.set(bit);
    }
  }
  return out;
}

FeatureSet FeatureSet::amanda_351() { return pick(&Row::advertised); }

FeatureSet FeatureSet::ours_as_client() {
  FeatureSet out = amanda_351();
  out.remove(Feature::sendbackup_req_options_data_shm_control_name);
  return out;
}

FeatureSet FeatureSet::ours_as_server() { return ours_as_client(); }

FeatureSet FeatureSet::ours_to(const FeatureSet& peer) {
  FeatureSet out = ours_as_server();
  if (peer.of_headrace()) out.add(Feature::headrace_meters);
  return out;
}

bool FeatureSet::of_headrace() const {
  return has(Feature::req_options_timestamp) && !has(Feature::sendbackup_req_options_data_shm_control_name);
}

FeatureSet FeatureSet::assumed_default() { return pick(&Row::assumed); }

}  // namespace headrace::wire
