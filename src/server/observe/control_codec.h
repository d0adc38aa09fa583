// What is said on a run's control socket (control.h), as values: one JSON object a line, a reply for each
// request. Pure. The format is documented in doc/control-socket.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "journal/event.h"

namespace headrace::observe {

// A request is short; a reply has a line's worth of facts for each dump.
inline constexpr size_t kMaxControlRequestBytes = size_t{64} << 10U;
inline constexpr size_t kMaxControlReplyBytes = size_t{4} << 20U;

struct ControlRequest {
  enum class Do {
    show,    // facts, nothing changes; `words`: HOST [DISK…] …, none: all
    pause,   // `words`: at least a host
    resume,  // likewise
    limit,   // what is set below, for the hosts of `words`
    only,    // an experiment: of the whole run only these may move, until its connection ends
  };
  Do what = Do::show;
  std::vector<std::string> words = {};
  bool exact = false;  // the words are names, no match expressions

  // limit; negative: as it is.
  int64_t in_parallel = -1;
  int64_t netusage_kps = -1;
  std::string interface = "default";  // whose netusage
  int64_t max_dumps = -1;
  int64_t rate = -1;  // bytes a second; 0: no limit
  bool operator==(const ControlRequest&) const = default;
};

// One disk of the run.
struct ControlDump {
  enum class Stand { planning, waiting, dumping, over };
  // What a pause or resume did to it.
  enum class Outcome { none, done, already, over };
  std::string host, disk;
  int level = 0;
  Stand stand = Stand::planning;
  bool paused = false;
  Outcome outcome = Outcome::none;
  uint64_t bytes = 0;  // received on this attempt
  uint64_t est_bytes = 0;
  int spindle = -1;
  std::vector<journal::Joint> joints = {};
  std::string verdict = {};  // the newest of its bottleneck, "" unknown
  bool operator==(const ControlDump&) const = default;
};

// A limit in force. Names and units as journal::LimitChanged's.
struct ControlLimit {
  std::string limit;
  std::string interface = {}, host = {}, disk = {};
  int64_t value = 0;
  int64_t configured = 0;  // as the run began
  bool operator==(const ControlLimit&) const = default;
};

struct ControlReply {
  std::string error = {};  // a sentence: nothing was done, and the rest is empty
  std::string config = {}, timestamp = {};
  int64_t now_us = 0;                     // of a clock that only runs forward: two replies give rates
  std::vector<ControlDump> dumps = {};    // pause and resume: the chosen ones; show: all
  std::vector<ControlLimit> limits = {};  // limit: the chosen ones, `configured` being the value before
  bool operator==(const ControlReply&) const = default;
};

// Without the newline.
std::string encode(const ControlRequest& request);
std::string encode(const ControlReply& reply);
// Corrupt when the line is no such object or has values out of range; the sentence is for whoever sent it.
// Members that are not known are ignored.
base::Result<ControlRequest> parse_control_request(std::string_view line);
base::Result<ControlReply> parse_control_reply(std::string_view line);

}  // namespace headrace::observe
