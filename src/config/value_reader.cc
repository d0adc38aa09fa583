#include "config/value_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "config/units.h"

namespace headrace::config {
namespace {

constexpr int64_t kLeastChunkKib = 64;

// "A B C" to "A, B or C".
std::string one_of(std::string_view words) {
  const size_t last = words.rfind(' ');
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != ' ') {
      text += words[i];
    } else {
      text += i == last ? " or " : ", ";
    }
  }
  return text;
}

constexpr std::string_view kYesWords = "YES Y TRUE T ON";
constexpr std::string_view kNoWords = "NO N FALSE F OFF";

}  // namespace

std::nullopt_t ValueReader::expected(std::string_view what) {
  // A token the lexer refused has been reported already.
  if (lexer_.peek().is(TokenKind::bad) && lexer_.peek().raw.starts_with('"')) return std::nullopt;
  report_.error(lexer_.peek().where, fmt::format("{} is expected, not {}", what, lexer_.peek().shown()));
  return std::nullopt;
}

std::string ValueReader::peek_keyword() const {
  return lexer_.peek().is(TokenKind::word) ? keyword(lexer_.peek().text) : std::string();
}

bool ValueReader::take_keyword(std::string_view wanted) {
  if (peek_keyword() != wanted) return false;
  lexer_.take();
  return true;
}

std::optional<Data> ValueReader::read(const Option& option, Section section, const Data& current) {
  switch (option.type) {
    case Type::boolean:
      return boolean();
    case Type::integer:
      return integer(option, false);
    case Type::size_kib:
      return integer(option, true);
    case Type::real:
      return real(option);
    case Type::text:
      return text(option);
    case Type::text_or_integer:
      if (lexer_.peek().is(TokenKind::integer)) return Data(std::string(lexer_.take().raw));
      if (lexer_.peek().is(TokenKind::text)) return Data(lexer_.take().text);
      return expected("a quoted string or an integer");
    case Type::name:
    case Type::reference:
      if (lexer_.peek().is(TokenKind::text) || lexer_.peek().is(TokenKind::word))
        return Data(lexer_.take().text);
      return expected("a name");
    case Type::names:
      return names(current, false);
    case Type::references:
      return names(current, true);
    case Type::texts:
      return texts();
    case Type::choice:
      return choice(option);
    case Type::choices:
      return choices(option, false);
    case Type::execute_on:
      return choices(option, true);
    case Type::autoflush:
      return autoflush();
    case Type::compress:
      return compress();
    case Type::holding:
      return holding();
    case Type::priority:
      return priority();
    case Type::display_unit:
      return display_unit();
    case Type::time_of_day: {
      const Position where = lexer_.peek().where;
      const auto time = number(false);
      if (!time) return std::nullopt;
      // Amanda takes any integer.
      if (*time < 0 || *time >= 2400 || *time % 100 >= 60)
        report_.warning(where, "a time of day is expected: hours and minutes, as in 2130");
      return Data(*time);
    }
    case Type::rates:
      return rates();
    case Type::port_range:
      return port_range(option);
    case Type::properties:
      return properties(option, section, current);
    case Type::patterns:
      return patterns(current);
    case Type::host_limit:
      return host_limit(true);
    case Type::dump_limit:
      return host_limit(false);
    case Type::autolabel:
      return autolabel(option);
    case Type::labelstr:
      return labelstr(option);
    case Type::dump_selections:
      return dump_selections(current);
    case Type::vaults:
      return vaults(current);
    case Type::column_spec:
      return column_spec();
  }
  return std::nullopt;
}

std::optional<Data> ValueReader::boolean() {
  if (lexer_.peek().ends_line()) return Data(true);
  if (lexer_.peek().is(TokenKind::integer)) return Data(lexer_.take().integer != 0);
  const std::string word = peek_keyword();
  const bool yes = listed(kYesWords, word);
  if (!yes && !listed(kNoWords, word)) return expected("yes or no");
  lexer_.take();
  return Data(yes);
}

std::optional<int64_t> ValueReader::number(bool kib) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const int64_t most = kib ? kMost : std::numeric_limits<int32_t>::max();
  if (take_keyword("INF")) return most;
  if (!lexer_.peek().is(TokenKind::integer)) return expected("an integer");
  const Token token = lexer_.take();
  int64_t factor = 1;
  int64_t divisor = 1;
  const std::string word = peek_keyword();
  for (const Unit& unit : kUnits) {
    if (!listed(unit.names, word)) continue;
    factor = kib ? unit.kib_factor : unit.factor;
    divisor = kib ? unit.kib_divisor : 1;
    lexer_.take();
    break;
  }
  int64_t value = 0;
  const bool overflow = token.overflow || __builtin_mul_overflow(token.integer, factor, &value);
  if (!overflow) value /= divisor;
  if (overflow || value > most || value < -most) {
    report_.error(token.where, fmt::format("the value is too large: at most {} is possible", most));
    return std::nullopt;
  }
  return value;
}

std::optional<Data> ValueReader::integer(const Option& option, bool kib) {
  const Position where = lexer_.peek().where;
  const auto value = number(kib);
  if (!value) return std::nullopt;
  const auto [low, high] = option.limits;
  constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
  if (*value < low || *value > high) {
    const std::string unit = kib && low > 0 ? " KiB" : "";
    report_.error(where, high != kAny ? fmt::format("{} must be between {} and {}", option.name, low, high)
                                      : fmt::format("{} must be at least {}{}", option.name, low, unit));
    return std::nullopt;
  }
  if (option.name == "ETIMEOUT" && *value == 0) {
    report_.error(where, "ETIMEOUT must not be 0");
    return std::nullopt;
  }
  if (option.name == "CHUNKSIZE" && *value > 0 && *value < kLeastChunkKib) {
    report_.error(where, fmt::format("CHUNKSIZE must be 0 or at least {} KiB", kLeastChunkKib));
    return std::nullopt;
  }
  return Data(*value);
}

std::optional<double> ValueReader::decimal() {
  const Token& token = lexer_.peek();
  if (!token.is(TokenKind::real) && !token.is(TokenKind::integer)) return expected("a number");
  const Token taken = lexer_.take();
  if (!taken.overflow) return taken.real;
  report_.error(taken.where, "the value is too large");
  return std::nullopt;
}

std::optional<Data> ValueReader::real(const Option& option) {
  const Position where = lexer_.peek().where;
  const auto value = decimal();
  if (!value) return std::nullopt;
  // Amanda lets 0.999 pass for 1.
  if (*value < static_cast<double>(option.limits.low) - 0.001) {
    report_.error(where, fmt::format("{} must be at least {}", option.name, option.limits.low));
    return std::nullopt;
  }
  return Data(*value);
}

std::optional<Data> ValueReader::text(const Option& option) {
  if (!lexer_.peek().is(TokenKind::text)) return expected("a quoted string");
  const Token token = lexer_.peek();
  if (option.name == "META-AUTOLABEL" && !label_is_plain(option, token)) return std::nullopt;
  if (option.name == "PROGRAM" && token.text != "DUMP" && token.text != "GNUTAR" && token.text != "STAR" &&
      token.text != "APPLICATION")
    return expected(R"("DUMP", "GNUTAR", "STAR" or "APPLICATION")");
  lexer_.take();
  return Data(token.text);
}

std::optional<Data> ValueReader::choice(const Option& option) {
  std::string word = peek_keyword();
  if (!listed(option.words, word)) return expected(one_of(option.words));
  lexer_.take();
  return Data(std::move(word));
}

std::optional<Data> ValueReader::choices(const Option& option, bool commas) {
  std::vector<std::string> chosen;
  do {
    const std::string word = peek_keyword();
    if (!listed(option.words, word)) return expected(one_of(option.words));
    chosen.push_back(word);
    lexer_.take();
    if (commas && !lexer_.peek().is(TokenKind::comma)) break;
    if (commas) lexer_.take();
  } while (commas || !lexer_.peek().ends_line());
  if (!commas) return Data(std::move(chosen));
  // Points of time are kept in Amanda's order, each once.
  std::vector<std::string> ordered;
  for (std::string_view rest = option.words; !rest.empty();) {
    const std::string word(rest.substr(0, rest.find(' ')));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (std::find(chosen.begin(), chosen.end(), word) != chosen.end()) ordered.push_back(word);
  }
  return Data(std::move(ordered));
}

std::optional<Data> ValueReader::autoflush() {
  if (take_keyword("ALL")) return Data(std::string("ALL"));
  if (lexer_.peek().is(TokenKind::integer) && lexer_.peek().integer == 2) {
    lexer_.take();
    return Data(std::string("ALL"));
  }
  const std::string word = peek_keyword();
  if (!lexer_.peek().ends_line() && !lexer_.peek().is(TokenKind::integer) && !listed(kYesWords, word) &&
      !listed(kNoWords, word))
    return expected("yes, no or all");
  const auto yes = boolean();
  if (!yes) return std::nullopt;
  return Data(std::string(std::get<bool>(*yes) ? "YES" : "NO"));
}

std::optional<Data> ValueReader::compress() {
  std::string where;
  std::string how;
  while (!lexer_.peek().ends_line()) {
    std::string word = peek_keyword();
    std::string& slot = word == "CLIENT" || word == "SERVER" ? where : how;
    if (!slot.empty() || !listed("CLIENT SERVER NONE FAST BEST CUSTOM", word))
      return expected("none, or client or server with fast, best or custom");
    slot = std::move(word);
    lexer_.take();
  }
  if (how == "NONE") return Data(how);
  return Data((where.empty() ? "CLIENT" : where) + " " + (how.empty() ? "FAST" : how));
}

std::optional<Data> ValueReader::holding() {
  const std::string word = peek_keyword();
  if (listed("NEVER AUTO REQUIRED", word)) {
    lexer_.take();
    return Data(word);
  }
  if (!lexer_.peek().ends_line() && !lexer_.peek().is(TokenKind::integer) && !listed(kYesWords, word) &&
      !listed(kNoWords, word))
    return expected("never, auto or required");
  const auto yes = boolean();
  if (!yes) return std::nullopt;
  return Data(std::string(std::get<bool>(*yes) ? "AUTO" : "NEVER"));
}

std::optional<Data> ValueReader::priority() {
  if (take_keyword("LOW")) return Data(int64_t{0});
  if (take_keyword("MEDIUM")) return Data(int64_t{1});
  if (take_keyword("HIGH")) return Data(int64_t{2});
  if (lexer_.peek().is(TokenKind::integer)) {
    const auto value = number(false);
    return value ? std::optional<Data>(*value) : std::nullopt;
  }
  return expected("low, medium, high or an integer");
}

std::optional<Data> ValueReader::display_unit() {
  const Token& token = lexer_.peek();
  if (token.is(TokenKind::text) && token.text.size() == 1) {
    const std::string unit = upper(token.text);
    if (unit.find_first_of("KMGT") == 0) {
      lexer_.take();
      return Data(unit);
    }
  }
  return expected(R"("k", "m", "g" or "t")");
}

std::optional<Data> ValueReader::rates() {
  Rates rates;
  for (double* rate : {&rates.full, &rates.incr}) {
    const Position where = lexer_.peek().where;
    const auto value = decimal();
    if (!value) return std::nullopt;
    if (*value < 0) {
      report_.error(where, "a compression rate must be at least 0");
      return std::nullopt;
    }
    *rate = *value;
    if (rate == &rates.incr) break;
    if (lexer_.peek().ends_line()) {
      rates.incr = rates.full;
      break;
    }
    if (lexer_.peek().is(TokenKind::comma)) lexer_.take();
  }
  return Data(rates);
}

std::optional<Data> ValueReader::port_range(const Option& option) {
  PortRange range;
  const Position where = lexer_.peek().where;
  const auto low = number(false);
  if (!low) return std::nullopt;
  range.low = range.high = *low;
  if (lexer_.peek().is(TokenKind::comma)) {
    lexer_.take();
    const auto high = number(false);
    if (!high) return std::nullopt;
    range.high = *high;
  }
  if (range.low > range.high) {
    report_.error(where, "the range must go from low to high");
  } else if (range.low < option.limits.low || range.high > option.limits.high) {
    report_.error(where,
                  fmt::format("ports must be between {} and {}", option.limits.low, option.limits.high));
  } else {
    return Data(range);
  }
  return std::nullopt;
}

std::optional<Data> ValueReader::names(const Data& current, bool grows) {
  std::vector<std::string> list;
  if (const auto* before = std::get_if<std::vector<std::string>>(&current); before != nullptr && grows)
    list = *before;
  if (lexer_.peek().ends_line()) return expected("a name");
  while (!lexer_.peek().ends_line()) {
    if (!lexer_.peek().is(TokenKind::text) && !lexer_.peek().is(TokenKind::word)) return expected("a name");
    list.push_back(lexer_.take().text);
  }
  return Data(std::move(list));
}

std::optional<Data> ValueReader::texts() {
  std::vector<std::string> list;
  while (!lexer_.peek().ends_line()) {
    if (!lexer_.peek().is(TokenKind::text)) return expected("a quoted string");
    list.push_back(lexer_.take().text);
  }
  return Data(std::move(list));
}

}  // namespace headrace::config
