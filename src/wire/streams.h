// The CONNECT line, first of a reply that opens streams: names and where to find them (a TCP port with bsd, a
// mux handle elsewhere, 150…153 between amandad and the service). Pure; opening is auth/'s business.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::wire {

inline constexpr size_t kMaxStreams = 4;
inline constexpr int64_t kNoStream = -1;

struct StreamId {
  std::string name;  // DATA, MESG, INDEX, STATE, CTL
  int64_t id = kNoStream;
  bool operator==(const StreamId&) const = default;
};

struct StreamIds {
  std::vector<StreamId> streams;  // in the order of the line

  // kNoStream when it is absent or said not to exist.
  int64_t id_of(std::string_view name) const;
  bool operator==(const StreamIds&) const = default;
};

// "CONNECT DATA 499999 MESG 499998\n".
std::string encode_connect(const StreamIds& ids);
// Errors (corrupt): another word, a name without number, more than kMaxStreams, a name twice, a number below
// -1.
base::Result<StreamIds> parse_connect(std::string_view line);

}  // namespace headrace::wire
