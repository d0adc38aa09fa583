#include "wire/selfcheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "wire/message_json.h"
#include "wire/options.h"
#include "wire/text.h"

namespace headrace::wire {

static constexpr std::array<std::string_view, 6> kSeverityNames = {"success", "info",  "message",
                                                                   "warning", "error", "critical"};

std::string_view name_of(Severity severity) { return kSeverityNames.at(static_cast<size_t>(severity)); }

std::string_view CheckMessage::field(std::string_view key) const {
  for (const auto& [name, value] : fields) {
    if (name == key) return value;
  }
  return {};
}

CheckMessage make_check_message(Severity severity, int code, std::string message,
                                std::vector<std::pair<std::string, std::string>> fields) {
  CheckMessage out{severity, code, std::move(message), {}};
  // 3.5.1's reader wants to know where in the program a message was made; it only shows it.
  out.fields = {{"source_filename", "headrace"}, {"source_line", "0"},    {"process", "selfcheck"},
                {"running_on", "amanda-client"}, {"component", "amanda"}, {"module", "amanda"}};
  out.fields.insert(out.fields.end(), std::make_move_iterator(fields.begin()),
                    std::make_move_iterator(fields.end()));
  return out;
}

namespace {

// Amanda's order: where from, severity, who, code, everything else, the text.
JsonObject to_json(const CheckMessage& message) {
  JsonObject out;
  const auto is_first = [](std::string_view key) { return key == "source_filename" || key == "source_line"; };
  const auto is_second = [](std::string_view key) {
    return key == "process" || key == "running_on" || key == "component" || key == "module";
  };
  const auto take = [&](auto&& wanted) {
    for (const auto& field : message.fields) {
      if (wanted(field.first)) out.push_back(field);
    }
  };
  take(is_first);
  out.emplace_back("severity", name_of(message.severity));
  take(is_second);
  out.emplace_back("code", std::to_string(message.code));
  take([&](std::string_view key) { return !is_first(key) && !is_second(key); });
  out.emplace_back("message", message.message);
  return out;
}

CheckMessage from_json(JsonObject object) {
  CheckMessage out;
  for (auto& [key, value] : object) {
    if (key == "severity") {
      const auto name = std::ranges::find(kSeverityNames, value);
      // A severity nobody knows is shown rather than hidden.
      out.severity = name == kSeverityNames.end() ? Severity::error
                                                  : static_cast<Severity>(name - kSeverityNames.begin());
    } else if (key == "code") {
      out.code = parse_number<int>(value).value_or(0);
    } else if (key == "message") {
      out.message = std::move(value);
    } else {
      out.fields.emplace_back(std::move(key), std::move(value));
    }
  }
  return out;
}

// One line that swallows no other: the peer reads on to the end of a quoted string.
std::string safe_line(std::string_view text) {
  std::string out = one_line(text);
  if (std::ranges::count(out, '"') % 2 != 0) std::ranges::replace(out, '"', '\'');
  return out;
}

std::string encode_lines(const std::vector<CheckMessage>& messages, const FeatureSet& ours,
                         const FeatureSet& peer, std::string_view hostname) {
  std::string out = encode_reply_options(ours, peer, 0, hostname);
  for (const CheckMessage& message : messages) {
    const std::string text = safe_line(message.message);
    out += message.is_problem() ? fmt::format("ERROR [{}]\n", text) : fmt::format("OK {}\n", text);
  }
  return out;
}

void take_text_line(std::string_view line, SelfcheckReply& out) {
  if (line.empty()) return;
  CheckMessage message;
  if (line.starts_with("OPTIONS")) {
    out.features = features_of_reply(line);
    return;
  }
  if (take_prefix(line, "OK ")) {
    message.severity = Severity::info;
  } else {
    message.severity = Severity::error;
    take_prefix(line, "ERROR ");
    if (line.starts_with('[') && line.ends_with(']')) line = line.substr(1, line.size() - 2);
  }
  message.message = line;
  out.messages.push_back(std::move(message));
}

}  // namespace

std::string encode_selfcheck_reply(const std::vector<CheckMessage>& messages, const FeatureSet& ours,
                                   const FeatureSet& peer, std::string_view hostname) {
  if (!peer.has(Feature::selfcheck_message)) return encode_lines(messages, ours, peer, hostname);
  std::string out = "MESSAGE JSON\n";
  for (const CheckMessage& message : messages) {
    if (&message != &messages.front()) out += ",\n";
    out += encode_json_object(to_json(message));
  }
  return out;
}

static base::Result<> take_json_message(std::string_view& body, SelfcheckReply& out) {
  auto object = take_json_object(body);
  if (!object) return std::unexpected(object.error());
  out.messages.push_back(from_json(*std::move(object)));
  return {};
}

base::Result<SelfcheckReply> parse_selfcheck_reply(std::string_view body) {
  SelfcheckReply out;
  const bool is_json = take_prefix(body, "MESSAGE JSON\n");
  while (true) {
    if (is_json) body.remove_prefix(std::min(body.size(), body.find_first_not_of(" \t\r\n[],:")));
    if (body.empty()) return out;
    if (out.messages.size() == kMaxCheckMessages) {
      return base::fail(base::ErrorKind::corrupt,
                        fmt::format("a check with more than {} messages", kMaxCheckMessages));
    }
    if (is_json && body.front() == '{') {
      if (auto taken = take_json_message(body, out); !taken) return std::unexpected(taken.error());
    } else {
      // In JSON too: amandad adds ERROR lines of its own behind what the service said.
      take_text_line(take_line(body), out);
    }
  }
}

}  // namespace headrace::wire
