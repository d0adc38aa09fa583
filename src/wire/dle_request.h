// Arguments of the requests that are about disks: selfcheck, sendsize and sendbackup. An OPTIONS line, then
// XML <dle> elements or, for peers without feature req_xml, old-style lines. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/dle.h"
#include "wire/options.h"

namespace headrace::wire {

struct DleRequest {
  RequestOptions options;
  std::vector<Dle> dles;
  bool operator==(const DleRequest&) const = default;
};

// Request::arguments. A sendbackup has exactly one Dle with exactly one level.
std::string encode_dle_request(const DleRequest& request, DleFor purpose, const FeatureSet& peer);
// Form (XML or lines) is told by the text. A DLE without levels is legal for selfcheck alone; for sendbackup
// there must be one DLE with one level. The error's text is what belongs after "ERROR " in the reply: "FORMAT
// ERROR IN REQUEST PACKET '…'" or "[…]".
base::Result<DleRequest> parse_dle_request(std::string_view arguments, DleFor purpose);

}  // namespace headrace::wire
