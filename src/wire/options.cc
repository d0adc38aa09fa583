#include "wire/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::fail;

static void add_option(std::string& line, std::string_view key, std::string_view value) {
  line += fmt::format("{}={};", key, value);
}

std::string encode_options(const RequestOptions& options, const FeatureSet& peer) {
  std::string out = "OPTIONS ";
  if (options.features && peer.has(Feature::req_options_features)) {
    add_option(out, "features", options.features->hex());
  }
  if (options.maxdumps > 0 && peer.has(Feature::req_options_maxdumps)) {
    add_option(out, "maxdumps", std::to_string(options.maxdumps));
  }
  if (!options.hostname.empty() && peer.has(Feature::req_options_hostname)) {
    add_option(out, "hostname", options.hostname);
  }
  if (!options.config.empty() && peer.has(Feature::req_options_config)) {
    add_option(out, "config", options.config);
  }
  if (!options.timestamp.empty() && peer.has(Feature::req_options_timestamp)) {
    add_option(out, "timestamp", options.timestamp);
  }
  if (!options.auth.empty()) add_option(out, "auth", options.auth);
  return out + "\n";
}

static base::Result<> take_option(std::string_view option, RequestOptions& out) {
  const std::string_view whole = option;
  if (take_prefix(option, "features=")) {
    if (option == "UNKNOWNFEATURE") return {};
    out.features = FeatureSet::parse(option);
    if (!out.features) {
      return fail(ErrorKind::refused, fmt::format("[bad features value '{}']", printable(option)));
    }
  } else if (take_prefix(option, "maxdumps=")) {
    const auto count = parse_number<int64_t>(option);
    if (!count || *count < 1) {
      return fail(ErrorKind::refused, fmt::format("[bad maxdumps value '{}']", printable(option)));
    }
    out.maxdumps = static_cast<int>(std::min<int64_t>(*count, kMaxMaxdumps));
  } else if (take_prefix(option, "hostname=")) {
    out.hostname = option;
  } else if (take_prefix(option, "config=")) {
    if (option.find('/') != std::string_view::npos) {
      return fail(ErrorKind::refused, "[invalid character in config option]");
    }
    out.config = option;
  } else if (take_prefix(option, "timestamp=")) {
    out.timestamp = option;
  } else if (take_prefix(option, "auth=")) {
    out.auth = option;
  } else {
    out.unknown.emplace_back(whole);
  }
  return {};
}

base::Result<RequestOptions> parse_options_line(std::string_view line) {
  line = line.substr(0, line.find('\n'));
  if (!take_prefix(line, "OPTIONS ") && line != "OPTIONS") {
    return fail(ErrorKind::refused,
                fmt::format("[request does not begin with OPTIONS: '{}']", printable(line)));
  }
  if (line == "OPTIONS") line = {};
  RequestOptions out;
  while (!line.empty()) {
    const std::string_view option = line.substr(0, line.find(';'));
    line.remove_prefix(std::min(line.size(), option.size() + 1));
    if (option.empty() || option == "|") continue;
    if (auto taken = take_option(option, out); !taken) return std::unexpected(taken.error());
  }
  return out;
}

std::string encode_reply_options(const FeatureSet& ours, const FeatureSet& peer, int maxdumps,
                                 std::string_view hostname) {
  std::string out = "OPTIONS ";
  if (peer.has(Feature::rep_options_features)) add_option(out, "features", ours.hex());
  if (maxdumps > 0 && peer.has(Feature::rep_options_maxdumps)) {
    add_option(out, "maxdumps", std::to_string(maxdumps));
  }
  if (!hostname.empty() && peer.has(Feature::rep_options_hostname)) add_option(out, "hostname", hostname);
  return out + "\n";
}

std::optional<FeatureSet> features_of_reply(std::string_view body) {
  while (!body.empty()) {
    std::string_view line = take_line(body);
    if (!take_prefix(line, "OPTIONS ")) continue;
    while (!line.empty()) {
      std::string_view option = line.substr(0, line.find(';'));
      line.remove_prefix(std::min(line.size(), option.size() + 1));
      if (take_prefix(option, "features=")) return FeatureSet::parse(option);
    }
  }
  return std::nullopt;
}

}  // namespace headrace::wire
