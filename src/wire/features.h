// Feature bits: what each end promises to understand. A side uses something only when the other side's set
// has its bit. Values only. Format: byte n/8, bit n%8, two lower-case hex digits a byte, bytes in order.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::wire {

// The table with the meaning of each bit is feature_list.inc.
enum class Feature : uint16_t {
#define HEADRACE_FEATURE(bit, name, advertised, assumed) name = (bit),
#include "wire/feature_list.inc"
#undef HEADRACE_FEATURE
};

inline constexpr size_t kFeatureCount = 149;

// Amanda's name without "fe_"; "unknown" beyond the table.
std::string_view name_of(Feature feature);

class FeatureSet {
 public:
  bool has(Feature feature) const { return bits_.test(static_cast<size_t>(feature)); }
  void add(Feature feature) { bits_.set(static_cast<size_t>(feature)); }
  void remove(Feature feature) { bits_.reset(static_cast<size_t>(feature)); }

  // 38 digits.
  std::string hex() const;
  // Bits beyond the table are ignored, missing ones are 0, an odd last digit is dropped. nullopt: a byte that
  // is no hex digit, or the word UNKNOWNFEATURE.
  static std::optional<FeatureSet> parse(std::string_view text);

  // Exactly what Amanda 3.5.1 advertises.
  static FeatureSet amanda_351();
  // What Headrace advertises: 3.5.1's set without data_shm_control_name (147), in either role.
  static FeatureSet ours_as_client();
  static FeatureSet ours_as_server();
  // Of a peer that sends no set at all ("2.4.2p2").
  static FeatureSet assumed_default();

  bool operator==(const FeatureSet&) const = default;

 private:
  std::bitset<kFeatureCount> bits_;
};

}  // namespace headrace::wire
