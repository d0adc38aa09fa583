// Reply of the sendsize service: estimated sizes, level by level. A PREP has the same form and repeats all
// that earlier ones said; the REP repeats everything again. Pure; requests: dle_request.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/features.h"

namespace headrace::wire {

inline constexpr int64_t kNoEstimate = -1;       // the client could not tell
inline constexpr int64_t kImpossibleLevel = -2;  // never choose this level

// Everything said about one disk at one level.
struct Estimate {
  std::string disk;
  int level = 0;
  std::optional<int64_t> kib;  // KiB, kNoEstimate or kImpossibleLevel; nullopt: no SIZE line
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
  bool operator==(const Estimate&) const = default;
};

struct SendsizeReply {
  std::optional<FeatureSet> features;
  std::vector<Estimate> estimates;
  std::vector<std::string> errors;  // about the whole host
  std::vector<std::string> warnings;

  // nullptr when nothing was said.
  const Estimate* find(std::string_view disk, int level) const;
  bool operator==(const SendsizeReply&) const = default;
};

// Body of a PREP or REP. ERROR and WARNING lines of a disk go out only to peers that read them (79, 86);
// without 79 a failed level becomes SIZE -1.
std::string encode_sendsize_reply(const SendsizeReply& reply, const FeatureSet& peer);
// Errors (corrupt) quote the line that has no meaning.
base::Result<SendsizeReply> parse_sendsize_reply(std::string_view body);

}  // namespace headrace::wire
