// Reply of the selfcheck service: lines (OK, ERROR) for initiators without feature selfcheck_message, else a
// stream of JSON message objects. Both forms become the same CheckMessages. Pure; requests: dle_request.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "wire/features.h"

namespace headrace::wire {

enum class Severity { success, info, message, warning, error, critical };

std::string_view name_of(Severity severity);

struct CheckMessage {
  Severity severity = Severity::info;
  int code = 0;         // Amanda's message number (3600052 …); 0 in line form
  std::string message;  // the ready text
  // All other keys in the order of the wire (source_filename, process, hostname, disk …); empty in line form.
  std::vector<std::pair<std::string, std::string>> fields;

  // Problems are what an operator must see without asking for more.
  bool is_problem() const { return severity >= Severity::warning; }
  // Value of an extra key; empty when absent.
  std::string_view field(std::string_view key) const;
  bool operator==(const CheckMessage&) const = default;
};

// A message as our client sends it: with the keys that 3.5.1's readers expect filled in, then `fields`.
CheckMessage make_check_message(Severity severity, int code, std::string message,
                                std::vector<std::pair<std::string, std::string>> fields = {});

struct SelfcheckReply {
  std::optional<FeatureSet> features;  // line form only: from its OPTIONS line
  std::vector<CheckMessage> messages;
};

// REP body in the form the initiator's features ask for. In line form, `ours` and hostname go into OPTIONS.
std::string encode_selfcheck_reply(const std::vector<CheckMessage>& messages, const FeatureSet& ours,
                                   const FeatureSet& peer, std::string_view hostname = {});
// More messages than this is no reply of any client.
inline constexpr size_t kMaxCheckMessages = 65536;

// Either form. A line that is neither OPTIONS, OK nor ERROR becomes an error message, as Amanda reads it.
// Errors (corrupt): JSON that cannot be read, more than kMaxCheckMessages.
base::Result<SelfcheckReply> parse_selfcheck_reply(std::string_view body);

}  // namespace headrace::wire
