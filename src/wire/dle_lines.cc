// The old-style lines of dle.h, for peers without feature req_xml (Amanda up to 2.5).
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/quote.h"
#include "wire/dle.h"
#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::Result;

namespace {

class OptionWriter {
 public:
  explicit OptionWriter(const FeatureSet& peer) : peer_(peer) {}

  void word(Feature needed, std::string_view text) {
    if (peer_.has(needed)) out_ += fmt::format("{};", text);
  }
  void value(Feature needed, std::string_view key, std::string_view text) {
    if (peer_.has(needed) && !text.empty()) out_ += fmt::format("{}={};", key, text);
  }
  std::string take() { return std::move(out_); }

 private:
  const FeatureSet& peer_;
  std::string out_ = "|;";
};

void write_compress(OptionWriter& out, const Dle& dle) {
  switch (dle.compress) {
    case Compress::none:
      return;
    case Compress::fast:
      return out.word(Feature::options_compress_fast, "compress-fast");
    case Compress::best:
      return out.word(Feature::options_compress_best, "compress-best");
    case Compress::custom:
      return out.value(Feature::options_compress_cust, "comp-cust", dle.compress_program);
    case Compress::server_fast:
      return out.word(Feature::options_srvcomp_fast, "srvcomp-fast");
    case Compress::server_best:
      return out.word(Feature::options_srvcomp_best, "srvcomp-best");
    case Compress::server_custom:
      return out.value(Feature::options_srvcomp_cust, "srvcomp-cust", dle.compress_program);
  }
}

void write_encrypt(OptionWriter& out, const Dle& dle) {
  if (dle.encrypt == Encrypt::custom) {
    out.value(Feature::options_encrypt_cust, "encrypt-cust", dle.encrypt_program);
    out.value(Feature::options_client_decrypt_option, "client-decrypt-option", dle.decrypt_option);
  } else if (dle.encrypt == Encrypt::server_custom) {
    out.value(Feature::options_encrypt_serv_cust, "encrypt-serv-cust", dle.encrypt_program);
    out.value(Feature::options_server_decrypt_option, "server-decrypt-option", dle.decrypt_option);
  }
}

std::string option_words(const Dle& dle, const FeatureSet& peer) {
  OptionWriter out(peer);
  if (peer.has(Feature::options_auth)) {
    out.value(Feature::options_auth, "auth", dle.auth);
  } else {
    out.word(Feature::options_bsd_auth, "bsd-auth");
  }
  write_compress(out, dle);
  write_encrypt(out, dle);
  if (!dle.record) out.word(Feature::options_no_record, "no-record");
  if (dle.index) out.word(Feature::options_index, "index");
  if (dle.kencrypt) out.word(Feature::options_kencrypt, "kencrypt");
  for (const std::string& file : dle.exclude.files) {
    out.value(Feature::options_exclude_file, "exclude-file", base::quote(file));
  }
  for (const std::string& list : dle.exclude.lists) {
    out.value(Feature::options_exclude_list, "exclude-list", base::quote(list));
  }
  for (const std::string& file : dle.include.files) {
    out.value(Feature::options_include_file, "include-file", base::quote(file));
  }
  for (const std::string& list : dle.include.lists) {
    out.value(Feature::options_include_list, "include-list", base::quote(list));
  }
  if (dle.exclude.optional) out.word(Feature::options_optional_exclude, "exclude-optional");
  if (dle.include.optional) out.word(Feature::options_optional_include, "include-optional");
  return out.take();
}

// What precedes the level: program, disk and device.
std::string names_of(const Dle& dle, bool calcsize, Feature device_feature, const FeatureSet& peer,
                     std::string_view absent_device) {
  const bool device = !dle.device.empty() && dle.device != dle.disk && peer.has(device_feature);
  return fmt::format("{}{} {}{}", calcsize ? "CALCSIZE " : "", dle.program, base::quote(dle.disk),
                     device ? " " + base::quote(dle.device) : std::string(absent_device));
}

// The form before options could travel with an estimate.
std::string selections_as_words(const Dle& dle) {
  const std::vector<std::pair<std::string_view, const std::vector<std::string>*>> all = {
      {"exclude-file", &dle.exclude.files},
      {"exclude-list", &dle.exclude.lists},
      {"include-file", &dle.include.files},
      {"include-list", &dle.include.lists}};
  std::string out;
  for (const auto& [key, values] : all) {
    for (const std::string& value : *values) out += fmt::format(" {}={}", key, base::quote(value));
  }
  return out;
}

std::string_view dumpdate_of(const DleLevel& level) {
  return level.dumpdate.empty() ? kDumpdateOfLevel0 : std::string_view(level.dumpdate);
}

}  // namespace

std::string encode_dle_lines(const Dle& dle, DleFor purpose, const FeatureSet& peer) {
  const bool calcsize = !dle.estimates.empty() && dle.estimates.front() == EstimateMethod::calcsize;
  if (purpose == DleFor::selfcheck) {
    return fmt::format("{} 0 OPTIONS {}\n",
                       names_of(dle, calcsize && peer.has(Feature::selfcheck_calcsize),
                                Feature::selfcheck_req_device, peer, ""),
                       option_words(dle, peer));
  }
  std::string out;
  for (const DleLevel& level : dle.levels) {
    if (purpose == DleFor::sendsize) {
      out += fmt::format("{} {} {} {} {}\n",
                         names_of(dle, calcsize && peer.has(Feature::calcsize_estimate),
                                  Feature::sendsize_req_device, peer, " "),
                         level.level, dumpdate_of(level), dle.spindle,
                         peer.has(Feature::sendsize_req_options) ? " OPTIONS " + option_words(dle, peer)
                                                                 : selections_as_words(dle));
    } else {
      out += fmt::format("{} {} {} OPTIONS {}\n",
                         names_of(dle, false, Feature::sendbackup_req_device, peer, " "), level.level,
                         dumpdate_of(level), option_words(dle, peer));
    }
  }
  return out;
}

namespace {

class LineParser {
 public:
  LineParser(std::string_view line, DleFor purpose) : line_(line), rest_(line), purpose_(purpose) {}

  Result<Dle> parse() {
    std::string_view program = base::take_word(rest_);
    // Amanda 3.5.1 forgets the blank after CALCSIZE.
    if (take_prefix(program, "CALCSIZE")) {
      dle_.estimates = {EstimateMethod::calcsize};
      if (program.empty()) program = base::take_word(rest_);
    }
    dle_.program = program;
    const std::string_view disk = base::take_word(rest_);
    if (program.empty() || disk.empty()) return bad("no program or disk");
    dle_.disk = base::unquote(disk);
    std::string_view word = base::take_word(rest_);
    if (!word.empty() && !parse_number<uint64_t>(word)) {
      dle_.device = base::unquote(word);
      word = base::take_word(rest_);
    }
    const auto number = parse_number<int>(word);
    if (!number || *number < 0 || *number > kMaxLevel) return bad("no level");
    DleLevel level{.level = *number, .server = false, .dumpdate = {}};
    if (purpose_ != DleFor::selfcheck) {
      const std::string_view date = base::take_word(rest_);
      if (date.empty() || date.find_first_not_of("0123456789:") != std::string_view::npos)
        return bad("no dump date");
      level.dumpdate = date;
    }
    dle_.levels.push_back(std::move(level));
    if (purpose_ == DleFor::sendsize) {
      const auto spindle = parse_number<int>(base::take_word(rest_));
      if (!spindle) return bad("no spindle");
      dle_.spindle = *spindle;
    }
    // In a selfcheck the 0 is a place holder, not a level.
    if (purpose_ == DleFor::selfcheck) dle_.levels.clear();
    return tail();
  }

 private:
  std::unexpected<base::Error> bad(std::string_view why) const {
    return base::fail(ErrorKind::refused, fmt::format("{} in: {}", why, printable(line_)));
  }

  Result<Dle> tail() {
    std::string_view before = rest_;
    const std::string_view word = base::take_word(before);
    if (word == "OPTIONS") {
      before.remove_prefix(std::min(before.size(), before.find_first_not_of(' ')));
      return options(before);
    }
    for (auto next = base::take_word(rest_); !next.empty(); next = base::take_word(rest_)) {
      if (!take_selection(next)) return bad(fmt::format("unknown word '{}'", printable(next)));
    }
    return std::move(dle_);
  }

  // Up to the next `;` outside quotes.
  static std::string_view take_option(std::string_view& rest) {
    bool quoted = false;
    size_t end = 0;
    for (; end < rest.size() && (quoted || rest[end] != ';'); ++end) {
      if (rest[end] == '\\')
        ++end;
      else if (rest[end] == '"')
        quoted = !quoted;
    }
    end = std::min(end, rest.size());
    const std::string_view option = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    return option;
  }

  Result<Dle> options(std::string_view all) {
    while (!all.empty()) {
      const std::string_view option = take_option(all);
      if (option.empty() || option == "|") continue;
      if (!take_word(option) && !take_value(option) && !take_selection(option)) {
        return bad(fmt::format("unknown option '{}'", printable(option)));
      }
    }
    return std::move(dle_);
  }

  bool take_word(std::string_view option) {
    if (option == "bsd-auth")
      dle_.auth = "bsd";
    else if (option == "compress-fast")
      dle_.compress = Compress::fast;
    else if (option == "compress-best")
      dle_.compress = Compress::best;
    else if (option == "srvcomp-fast")
      dle_.compress = Compress::server_fast;
    else if (option == "srvcomp-best")
      dle_.compress = Compress::server_best;
    else if (option == "no-record")
      dle_.record = false;
    else if (option == "index")
      dle_.index = true;
    else if (option == "kencrypt")
      dle_.kencrypt = true;
    else if (option == "exclude-optional")
      dle_.exclude.optional = true;
    else if (option == "include-optional")
      dle_.include.optional = true;
    else
      return false;
    return true;
  }

  bool take_value(std::string_view option) {
    if (take_prefix(option, "auth=")) {
      dle_.auth = option;
    } else if (take_prefix(option, "comp-cust=")) {
      dle_.compress = Compress::custom;
      dle_.compress_program = option;
    } else if (take_prefix(option, "srvcomp-cust=")) {
      dle_.compress = Compress::server_custom;
      dle_.compress_program = option;
    } else if (take_prefix(option, "encrypt-cust=")) {
      dle_.encrypt = Encrypt::custom;
      dle_.encrypt_program = option;
    } else if (take_prefix(option, "encrypt-serv-cust=")) {
      dle_.encrypt = Encrypt::server_custom;
      dle_.encrypt_program = option;
    } else if (take_prefix(option, "client-decrypt-option=") ||
               take_prefix(option, "server-decrypt-option=")) {
      dle_.decrypt_option = option;
    } else {
      return false;
    }
    return true;
  }

  bool take_selection(std::string_view option) {
    if (take_prefix(option, "exclude-file="))
      dle_.exclude.files.push_back(base::unquote(option));
    else if (take_prefix(option, "exclude-list="))
      dle_.exclude.lists.push_back(base::unquote(option));
    else if (take_prefix(option, "include-file="))
      dle_.include.files.push_back(base::unquote(option));
    else if (take_prefix(option, "include-list="))
      dle_.include.lists.push_back(base::unquote(option));
    else
      return false;
    return true;
  }

  const std::string_view line_;
  std::string_view rest_;
  const DleFor purpose_;
  Dle dle_;
};

}  // namespace

Result<std::vector<Dle>> parse_dle_lines(std::string_view text, DleFor purpose) {
  std::vector<Dle> out;
  std::unordered_map<std::string, size_t> place_of_disk;
  while (!text.empty()) {
    // Quoted names hold no newline: it is written as an escape.
    const std::string_view line = take_line(text);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto dle = LineParser(line, purpose).parse();
    if (!dle) return std::unexpected(dle.error());
    const auto [place, is_new] = place_of_disk.emplace(dle->disk, out.size());
    if (is_new) {
      out.push_back(*std::move(dle));
    } else {
      auto& levels = out[place->second].levels;
      levels.insert(levels.end(), dle->levels.begin(), dle->levels.end());
    }
  }
  return out;
}

}  // namespace headrace::wire
