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
  // Headrace's own, far beyond what Amanda may come to use.
  headrace_meters = 232,  // wants the client's meters as MESG lines (meter_line.h)
};

inline constexpr size_t kFeatureCount = 149;  // Amanda's
inline constexpr size_t kFirstOwnFeature = 232;
inline constexpr size_t kFeatureBits = 256;

// Amanda's name without "fe_"; "unknown" beyond the table.
std::string_view name_of(Feature feature);

class FeatureSet {
 public:
  bool has(Feature feature) const { return bits_.test(static_cast<size_t>(feature)); }
  void add(Feature feature) { bits_.set(static_cast<size_t>(feature)); }
  void remove(Feature feature) { bits_.reset(static_cast<size_t>(feature)); }

  // 38 digits, as Amanda writes them; more when a bit of our own is set.
  std::string hex() const;
  // Bits that are neither Amanda's nor our own are ignored, missing ones are 0, an odd last digit is dropped.
  // nullopt: a byte that is no hex digit, or the word UNKNOWNFEATURE.
  static std::optional<FeatureSet> parse(std::string_view text);

  // Exactly what Amanda 3.5.1 advertises.
  static FeatureSet amanda_351();
  // What Headrace advertises: 3.5.1's set without data_shm_control_name (147), in either role.
  static FeatureSet ours_as_client();
  static FeatureSet ours_as_server();
  // What our server advertises in a request to this peer: our own bits too when it is Headrace. Nobody else
  // is ever shown one.
  static FeatureSet ours_to(const FeatureSet& peer);
  // A peer with such a set is Headrace: it has req_options_timestamp (148), but not data_shm_control_name
  // (147), which every Amanda that knows 148 has.
  bool of_headrace() const;
  // Of a peer that sends no set at all ("2.4.2p2").
  static FeatureSet assumed_default();

  bool operator==(const FeatureSet&) const = default;

 private:
  std::bitset<kFeatureBits> bits_;
};

}  // namespace headrace::wire
