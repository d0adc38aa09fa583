#include "wire/sendbackup.h"

#include <fmt/format.h>

#include "base/quote.h"
#include "wire/dle.h"
#include "wire/options.h"
#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::Result;
using Kind = MesgLine::Kind;

static std::string retry_words(const Retry& retry) {
  std::string out;
  if (retry.delay_seconds >= 0) out += fmt::format(" delay {}", retry.delay_seconds);
  if (retry.level >= 0) out += fmt::format(" level {}", retry.level);
  if (!retry.message.empty()) out += fmt::format(" message {}", base::quote(retry.message));
  return out;
}

// nullopt: a word or number that does not belong.
static std::optional<Retry> parse_retry(std::string_view words) {
  Retry out;
  for (auto word = base::take_word(words); !word.empty(); word = base::take_word(words)) {
    const std::string_view value = base::take_word(words);
    if (word == "delay") {
      const auto delay = parse_number<int64_t>(value);
      if (!delay || *delay < 0) return std::nullopt;
      out.delay_seconds = *delay;
    } else if (word == "level") {
      const auto level = parse_number<int>(value);
      if (!level || *level < 0 || *level > kMaxLevel) return std::nullopt;
      out.level = *level;
    } else if (word == "message" && !value.empty()) {
      out.message = base::unquote(value);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::string encode_sendbackup_reply(const SendbackupReply& reply, const FeatureSet& peer) {
  std::string out;
  if (reply.streams) out += encode_connect(*reply.streams);
  if (reply.retry && peer.has(Feature::sendbackup_rep_retry)) {
    out += fmt::format("RETRY{}\n", retry_words(*reply.retry));
  }
  if (reply.features && peer.has(Feature::rep_options_features)) {
    out += fmt::format("OPTIONS features={};\n", reply.features->hex());
  } else if (reply.streams) {
    // A CONNECT line must be followed by something.
    out += "OPTIONS \n";
  }
  for (const std::string& text : reply.errors) out += fmt::format("ERROR {}\n", one_line(text));
  if (reply.retry && !peer.has(Feature::sendbackup_rep_retry)) {
    out += fmt::format("ERROR {}\n",
                       one_line(reply.retry->message.empty() ? "retry later" : reply.retry->message));
  }
  return out;
}

static Result<> take_reply_line(std::string_view line, SendbackupReply& out) {
  const auto bad = [line](std::string_view why) {
    return base::fail(ErrorKind::corrupt,
                      fmt::format("badly formatted reply ({}): {}", why, printable(line)));
  };
  std::string_view rest = line;
  if (line.empty()) return {};
  if (line.starts_with("CONNECT ")) {
    if (out.streams) return bad("a second CONNECT");
    auto ids = parse_connect(line);
    if (!ids) return std::unexpected(ids.error());
    if (ids->id_of("DATA") == kNoStream || ids->id_of("MESG") == kNoStream) return bad("no DATA or no MESG");
    out.streams = *std::move(ids);
  } else if (line.starts_with("OPTIONS ")) {
    out.features = features_of_reply(line);
  } else if (take_prefix(rest, "ERROR ")) {
    out.errors.emplace_back(rest);
  } else if (take_prefix(rest, "RETRY") && (rest.empty() || rest.front() == ' ')) {
    out.retry = parse_retry(rest);
    if (!out.retry) return bad("unreadable RETRY");
  } else {
    return bad("neither CONNECT, OPTIONS, ERROR nor RETRY");
  }
  return {};
}

Result<SendbackupReply> parse_sendbackup_reply(std::string_view body) {
  SendbackupReply out;
  while (!body.empty()) {
    if (auto taken = take_reply_line(take_line(body), out); !taken) return std::unexpected(taken.error());
  }
  return out;
}

namespace {

MesgLine plain(Kind kind, std::string_view text = {}) {
  MesgLine out;
  out.kind = kind;
  out.text = text;
  return out;
}

MesgLine marked(Kind kind, std::string_view line) {
  line.remove_prefix(1);
  take_prefix(line, " ");
  return plain(kind, line);
}

std::optional<MesgLine> classify_info(std::string_view rest) {
  if (rest == "end") return plain(Kind::info_end);
  const size_t equals = rest.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  MesgLine out = plain(Kind::info);
  out.key = rest.substr(0, equals);
  out.value = rest.substr(equals + 1);
  return out;
}

MesgLine classify_crc(Kind kind, std::string_view rest) {
  MesgLine out = plain(kind);
  out.crc = base::CrcAndSize::parse(rest);
  return out;
}

// What follows "sendbackup: "; nullopt: no line of this service.
std::optional<MesgLine> classify_command(std::string_view rest) {
  if (rest == "end") return plain(Kind::end);
  if (rest == "no-op") return plain(Kind::no_op);
  if (rest == "statedone") return plain(Kind::statedone);
  if (rest == "start" || take_prefix(rest, "start ")) return plain(Kind::start, rest == "start" ? "" : rest);
  if (take_prefix(rest, "info ")) return classify_info(rest);
  if (rest == "error") return plain(Kind::error);
  if (take_prefix(rest, "error ")) {
    if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
    return plain(Kind::error, rest);
  }
  if (take_prefix(rest, "meter ")) return plain(Kind::meter, rest);
  if (take_prefix(rest, "warning ")) return plain(Kind::warning, rest);
  if (take_prefix(rest, "state ")) return plain(Kind::state, rest);
  if (take_prefix(rest, "native-CRC ")) return classify_crc(Kind::native_crc, rest);
  if (take_prefix(rest, "client-CRC ")) return classify_crc(Kind::client_crc, rest);
  if (take_prefix(rest, "size ")) {
    const auto kib = parse_number<int64_t>(rest);
    if (!kib || *kib < 0) return std::nullopt;
    MesgLine out = plain(Kind::size);
    out.number = *kib;
    return out;
  }
  if (rest == "retry" || rest.starts_with("retry ")) {
    const auto retry = parse_retry(rest.substr(5));
    if (!retry) return std::nullopt;
    MesgLine out = plain(Kind::retry);
    out.retry = *retry;
    return out;
  }
  return std::nullopt;
}

}  // namespace

MesgLine classify_mesg(std::string_view line) {
  if (line.starts_with('|')) return marked(Kind::normal, line);
  if (line.starts_with('?')) return marked(Kind::strange, line);
  std::string_view rest = line;
  if (!take_prefix(rest, "sendbackup: ")) return plain(Kind::unknown, line);
  return classify_command(rest).value_or(plain(Kind::unknown, line));
}

std::string encode_mesg(const MesgLine& line) {
  const std::string text = one_line(line.text);
  switch (line.kind) {
    case Kind::start:
      return fmt::format("sendbackup: start {}\n", text);
    case Kind::info:
      return fmt::format("sendbackup: info {}={}\n", one_line(line.key), one_line(line.value));
    case Kind::info_end:
      return "sendbackup: info end\n";
    case Kind::normal:
      return fmt::format("| {}\n", text);
    case Kind::strange:
      return fmt::format("? {}\n", text);
    case Kind::warning:
      return fmt::format("sendbackup: warning {}\n", text);
    case Kind::error:
      return fmt::format("sendbackup: error [{}]\n", text);
    case Kind::size:
      return fmt::format("sendbackup: size {}\n", line.number);
    case Kind::native_crc:
      return fmt::format("sendbackup: native-CRC {}\n", line.crc.text());
    case Kind::client_crc:
      return fmt::format("sendbackup: client-CRC {}\n", line.crc.text());
    case Kind::state:
      return fmt::format("sendbackup: state {}\n", text);
    case Kind::no_op:
      return "sendbackup: no-op\n";
    case Kind::retry:
      return fmt::format("sendbackup: retry{}\n", retry_words(line.retry));
    case Kind::end:
      return "sendbackup: end\n";
    case Kind::statedone:
      return "sendbackup: statedone\n";
    case Kind::meter:
      return fmt::format("sendbackup: meter {}\n", text);
    case Kind::unknown:
      break;
  }
  return text + "\n";
}

std::string mesg_start(std::string_view host, std::string_view disk, int level) {
  return encode_mesg(plain(Kind::start, fmt::format("[{}:{} level {}]", host, base::quote(disk), level)));
}

std::string mesg_info(std::string_view key, std::string_view value) {
  MesgLine line = plain(Kind::info);
  line.key = key;
  line.value = value;
  return encode_mesg(line);
}

std::string mesg_meter(const MeterLine& meter) {
  return encode_mesg(plain(Kind::meter, encode_meter(meter)));
}

std::string mesg_error(std::string_view reason) { return encode_mesg(plain(Kind::error, reason)); }

}  // namespace headrace::wire
