// The sendbackup service after its request: the reply that opens (or refuses) the streams, and the lines of
// the MESG stream. Pure; requests: dle_request.h, cutting streams into lines: lines.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"
#include "wire/features.h"
#include "wire/meter_line.h"
#include "wire/streams.h"

namespace headrace::wire {

// The client asks to be called again instead of dumping now. -1: not given.
struct Retry {
  int64_t delay_seconds = -1;
  int level = -1;
  std::string message;
  bool operator==(const Retry&) const = default;
};

struct SendbackupReply {
  std::optional<StreamIds> streams;
  std::optional<FeatureSet> features;
  std::vector<std::string> errors;
  std::optional<Retry> retry;
  bool operator==(const SendbackupReply&) const = default;
};

// REP body: streams, retry, OPTIONS (when features are set and the peer wants them), errors. RETRY only to a
// peer with sendbackup_rep_retry; without, it becomes an error.
std::string encode_sendbackup_reply(const SendbackupReply& reply, const FeatureSet& peer);
// Errors (corrupt): another line than CONNECT, OPTIONS, ERROR, RETRY; a CONNECT without DATA or MESG.
base::Result<SendbackupReply> parse_sendbackup_reply(std::string_view body);

// One line of the MESG stream. Which members mean something stands beside each kind.
// What a server sends on the MESG stream of a dump that its client throws away (Dle::discard), a byte each.
inline constexpr char kCloseGate = 'c';
inline constexpr char kOpenGate = 'o';

struct MesgLine {
  enum class Kind {
    start,       // text: "[host:disk level 0]" as sent
    info,        // key, value
    info_end,    // the header is complete: DATA may come
    normal,      // text: "| …" without the mark
    strange,     // text: "? …" without the mark
    warning,     // text
    error,       // text: the reason, without the brackets; counts as end
    size,        // number: KiB before compression and encryption
    native_crc,  // crc
    client_crc,  // crc
    state,       // text: a line for the state file
    no_op,
    retry,  // retry
    end,
    statedone,
    meter,    // text: for parse_meter() (meter_line.h); an extension of ours
    unknown,  // text: the whole line; makes the dump strange
  };
  Kind kind = Kind::unknown;
  std::string text;
  std::string key;
  std::string value;
  int64_t number = 0;
  base::CrcAndSize crc;
  Retry retry;
  bool operator==(const MesgLine&) const = default;
};

// `line` without its newline. Never fails: what cannot be read is unknown.
MesgLine classify_mesg(std::string_view line);
// With the newline. Newlines inside texts become blanks.
std::string encode_mesg(const MesgLine& line);

// Makers of the lines a client sends.
std::string mesg_start(std::string_view host, std::string_view disk, int level);
std::string mesg_info(std::string_view key, std::string_view value);
std::string mesg_error(std::string_view reason);
std::string mesg_meter(const MeterLine& meter);

}  // namespace headrace::wire
