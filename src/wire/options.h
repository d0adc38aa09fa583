// The OPTIONS line: first line of every request's arguments ("OPTIONS features=…;maxdumps=1;…;\n") and a line
// of most replies. Pure text <-> values; which keys mean what to a service is the service's business.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/features.h"

namespace headrace::wire {

// More than this many estimates at once is never asked for or granted.
inline constexpr int kMaxMaxdumps = 16;

struct RequestOptions {
  std::optional<FeatureSet> features;  // nullopt: the sender gave none; use FeatureSet::assumed_default()
  int maxdumps = 1;                    // 0: do not send the key
  std::string hostname;                // empty: not given
  std::string config;
  std::string timestamp;  // YYYYMMDDhhmmss
  std::string auth;
  std::vector<std::string> unknown;  // options as written that nobody knows; never sent

  FeatureSet features_or_default() const { return features.value_or(FeatureSet::assumed_default()); }
  bool operator==(const RequestOptions&) const = default;
};

// With the closing newline; keys in the order features, maxdumps, hostname, config, timestamp, auth, each
// only when set and when the peer's features allow it.
std::string encode_options(const RequestOptions& options, const FeatureSet& peer);
// The line with or without its newline. maxdumps is cut to kMaxMaxdumps. Errors (refused): no OPTIONS line, a
// bad value; the text is what belongs after "ERROR " in the reply. Unknown keys are no error.
base::Result<RequestOptions> parse_options_line(std::string_view line);

// "OPTIONS features=…;\n" of a reply: features, maxdumps and hostname go out when the initiator's set asks
// for them (bits 39, 37, 38) and, for the last two, when given.
std::string encode_reply_options(const FeatureSet& ours, const FeatureSet& peer, int maxdumps = 0,
                                 std::string_view hostname = {});
// The features that the OPTIONS line of a reply body tells, wherever that line stands.
std::optional<FeatureSet> features_of_reply(std::string_view body);

}  // namespace headrace::wire
