#include "wire/sendsize.h"

#include <fmt/format.h>

#include <map>

#include "base/quote.h"
#include "wire/dle.h"
#include "wire/options.h"
#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::Result;

const Estimate* SendsizeReply::find(std::string_view disk, int level) const {
  for (const Estimate& estimate : estimates) {
    if (estimate.level == level && estimate.disk == disk) return &estimate;
  }
  return nullptr;
}

// A disk named like one of the reply's own words must not be taken for it.
static std::string quoted_disk(const std::string& disk) {
  const bool is_word = disk == "OPTIONS" || disk == "ERROR" || disk == "WARNING";
  return is_word ? base::quote_always(disk) : base::quote(disk);
}

static void encode_estimate(const Estimate& estimate, const FeatureSet& peer, std::string& out) {
  const std::string who = fmt::format("{} {}", quoted_disk(estimate.disk), estimate.level);
  if (peer.has(Feature::sendsize_rep_warning)) {
    for (const std::string& text : estimate.warnings) {
      out += fmt::format("{} WARNING {}\n", who, base::quote_always(text));
    }
  }
  const bool tells_errors = peer.has(Feature::rep_sendsize_quoted_error);
  if (tells_errors) {
    for (const std::string& text : estimate.errors) {
      out += fmt::format("{} ERROR {}\n", who, base::quote_always(text));
    }
  }
  if (estimate.kib) {
    out += fmt::format("{} SIZE {}\n", who, *estimate.kib);
  } else if (!tells_errors && !estimate.errors.empty()) {
    out += fmt::format("{} SIZE {}\n", who, kNoEstimate);
  }
}

std::string encode_sendsize_reply(const SendsizeReply& reply, const FeatureSet& peer) {
  std::string out;
  if (reply.features && peer.has(Feature::rep_options_features)) {
    out += fmt::format("OPTIONS features={};\n", reply.features->hex());
  } else {
    out += "OPTIONS \n";
  }
  for (const std::string& text : reply.warnings) out += fmt::format("WARNING {}\n", one_line(text));
  for (const std::string& text : reply.errors) out += fmt::format("ERROR {}\n", one_line(text));
  for (const Estimate& estimate : reply.estimates) encode_estimate(estimate, peer, out);
  return out;
}

namespace {

class ReplyParser {
 public:
  Result<SendsizeReply> parse(std::string_view body) {
    while (!body.empty()) {
      if (auto taken = take(take_line(body)); !taken) return std::unexpected(taken.error());
    }
    return std::move(out_);
  }

 private:
  Result<> take(std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return {};
    if (line.starts_with("OPTIONS ")) {
      out_.features = features_of_reply(line);
      return {};
    }
    std::string_view text = line;
    if (take_prefix(text, "ERROR ")) {
      out_.errors.emplace_back(text);
      return {};
    }
    if (take_prefix(text, "WARNING ")) {
      out_.warnings.emplace_back(text);
      return {};
    }
    return take_estimate(line);
  }

  Result<> take_estimate(const std::string_view line) {
    const auto bad = [line](std::string_view why) {
      return base::fail(ErrorKind::corrupt,
                        fmt::format("badly formatted estimate ({}): {}", why, printable(line)));
    };
    std::string_view rest = line;
    const std::string_view disk = base::take_word(rest);
    const auto level = parse_number<int>(base::take_word(rest));
    if (!level || *level < 0 || *level > kMaxLevel) return bad("no level");
    const std::string_view what = base::take_word(rest);
    Estimate& estimate = of(base::unquote(disk), *level);
    if (what == "SIZE") {
      const auto kib = parse_number<int64_t>(base::take_word(rest));
      if (!kib || *kib < kImpossibleLevel) return bad("no size");
      if (!base::take_word(rest).empty()) return bad("more than a size");
      estimate.kib = kib;
    } else if (what == "ERROR") {
      estimate.errors.push_back(text_after(rest));
    } else if (what == "WARNING") {
      estimate.warnings.push_back(text_after(rest));
    } else {
      return bad("neither SIZE, ERROR nor WARNING");
    }
    return {};
  }

  // Usually quoted; whole in any case.
  static std::string text_after(std::string_view rest) {
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    return base::unquote(rest);
  }

  Estimate& of(std::string disk, int level) {
    const auto [place, is_new] = places_.try_emplace({disk, level}, out_.estimates.size());
    if (is_new) {
      out_.estimates.push_back(
          {.disk = std::move(disk), .level = level, .kib = std::nullopt, .errors = {}, .warnings = {}});
    }
    return out_.estimates[place->second];
  }

  SendsizeReply out_;
  std::map<std::pair<std::string, int>, size_t> places_;
};

}  // namespace

Result<SendsizeReply> parse_sendsize_reply(std::string_view body) { return ReplyParser().parse(body); }

}  // namespace headrace::wire
