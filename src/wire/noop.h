// The noop service: both ends tell their features, nothing else. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/features.h"

namespace headrace::wire {

// Request::arguments: "OPTIONS features=…;\n".
std::string encode_noop_request(const FeatureSet& ours);
// The initiator's features; the default set when it tells none. What follows is ignored.
FeatureSet parse_noop_request(std::string_view arguments);
// REP body: "OPTIONS features=…;\n".
std::string encode_noop_reply(const FeatureSet& ours);
// The peer's features; the default set when it tells none. Error refused: an ERROR line.
base::Result<FeatureSet> parse_noop_reply(std::string_view body);
// NAK texts by which a client too old for noop answers: treat it as one with the default features.
bool nak_means_no_noop(std::string_view nak_body);

}  // namespace headrace::wire
