#include "config/match.h"

#include <fmt/core.h>

#include <algorithm>
#include <bitset>
#include <charconv>
#include <optional>

#include "config/lexer.h"

namespace headrace::config {
namespace {

constexpr size_t kExpressionLimitBytes = 4096;

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// One step of a glob: a set of characters, once or any number of times.
struct Step {
  std::bitset<256> accepts;
  bool repeats = false;
};

// A host or disk expression, ready to be compared with names that are folded and bounded by separators.
struct Glob {
  std::vector<Step> steps;
  bool anchored_left = false;
  bool anchored_right = false;
};

std::string_view strip(std::string_view text, char separator) {
  while (!text.empty() && text.front() == separator) text.remove_prefix(1);
  while (!text.empty() && text.back() == separator) text.remove_suffix(1);
  return text;
}

// "[abc]", "[!a-z]": takes it off the front of `rest`, whose `[` has been taken. Nothing without a `]`.
std::optional<std::bitset<256>> take_set(std::string_view& rest) {
  const bool negated = rest.starts_with('!');
  if (negated) rest.remove_prefix(1);
  std::bitset<256> set;
  bool first = true;
  while (!rest.empty() && (first || rest.front() != ']')) {
    first = false;
    const auto low = static_cast<unsigned char>(rest.front());
    auto high = low;
    if (rest.size() > 2 && rest[1] == '-' && rest[2] != ']') {
      high = static_cast<unsigned char>(rest[2]);
      rest.remove_prefix(2);
    }
    rest.remove_prefix(1);
    for (unsigned c = low; c <= high; ++c) set.set(c);
  }
  if (rest.empty()) return std::nullopt;
  rest.remove_prefix(1);
  return negated ? ~set : set;
}

std::optional<Glob> compile(std::string_view expression, char separator) {
  Glob glob;
  if (expression.starts_with('^')) {
    glob.anchored_left = true;
    expression.remove_prefix(1);
  }
  if (expression.ends_with('$') && !expression.ends_with("\\$")) {
    glob.anchored_right = true;
    expression.remove_suffix(1);
  }
  expression = strip(expression, separator);
  std::bitset<256> any;
  any.set();
  std::bitset<256> in_word = any;
  in_word.reset(static_cast<unsigned char>(separator));
  std::bitset<256> only_separator;
  only_separator.set(static_cast<unsigned char>(separator));

  glob.steps.push_back({only_separator});
  while (!expression.empty()) {
    const char c = expression.front();
    expression.remove_prefix(1);
    Step step;
    if (c == '*') {
      step.repeats = true;
      step.accepts = in_word;
      if (expression.starts_with('*')) {
        expression.remove_prefix(1);
        step.accepts = any;
      }
    } else if (c == '?') {
      step.accepts = in_word;
    } else if (c == '[') {
      const auto set = take_set(expression);
      if (!set) return std::nullopt;
      step.accepts = *set & in_word;
    } else if (c == '\\' && !expression.empty()) {
      step.accepts.set(static_cast<unsigned char>(expression.front()));
      expression.remove_prefix(1);
    } else {
      step.accepts.set(static_cast<unsigned char>(c));
    }
    glob.steps.push_back(step);
  }
  glob.steps.push_back({only_separator});
  return glob;
}

// All steps at once, position by position: time is the product of both lengths whatever the expression.
bool matches(const Glob& glob, std::string_view text) {
  const size_t count = glob.steps.size();
  std::vector<bool> now(count + 1, false);
  const auto close = [&](std::vector<bool>& states) {
    for (size_t i = 0; i < count; ++i)
      if (states[i] && glob.steps[i].repeats) states[i + 1] = true;
  };
  now[0] = true;
  for (size_t at = 0; at < text.size(); ++at) {
    close(now);
    std::vector<bool> next(count + 1, false);
    const auto c = static_cast<unsigned char>(text[at]);
    for (size_t i = 0; i < count; ++i) {
      if (!now[i] || !glob.steps[i].accepts.test(c)) continue;
      next[glob.steps[i].repeats ? i : i + 1] = true;
    }
    close(next);
    if (next[count] && (!glob.anchored_right || at + 1 == text.size())) return true;
    now = std::move(next);
    if (!glob.anchored_left) now[0] = true;
  }
  return false;
}

bool match_words(std::string_view expression, std::string_view name, char separator) {
  if (expression.size() > kExpressionLimitBytes) return false;
  const auto glob = compile(expression, separator);
  if (!glob) return false;
  // "^usr" is not "^/usr": the anchor stands before a leading separator.
  if (glob->anchored_left && !expression.starts_with("^**") &&
      expression.substr(1).starts_with(separator) != name.starts_with(separator))
    return false;
  const std::string bounded = std::string(1, separator) + std::string(strip(name, separator)) + separator;
  return matches(*glob, bounded);
}

// A Windows share's name with `/`; several together count as one, as backslashes may have been doubled.
std::string slashes(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const char folded = c == '\\' ? '/' : c;
    if (folded != '/' || out.empty() || out.back() != '/') out += folded;
  }
  return out;
}

base::Result<> check_words(std::string_view expression, char separator) {
  if (expression.empty()) return base::fail(base::ErrorKind::refused, "a match expression is empty");
  if (expression.size() > kExpressionLimitBytes)
    return base::fail(base::ErrorKind::refused, "a match expression is too long");
  if (!expression.starts_with('=') && !compile(expression, separator))
    return base::fail(base::ErrorKind::refused, fmt::format("'{}' has a '[' without ']'", expression));
  return {};
}

// A prefix, a range of prefixes, or exactly. `numeric` compares the ends of a range as numbers.
bool match_number(std::string_view expression, std::string_view value, bool replace_tail) {
  if (expression.empty() || expression == "*") return true;
  if (expression.starts_with('=')) return expression.substr(1) == value;
  if (expression.starts_with('^')) expression.remove_prefix(1);
  if (expression.ends_with('$')) return expression.substr(0, expression.size() - 1) == value;
  const size_t dash = expression.find('-');
  if (dash == std::string_view::npos) return is_digits(expression) && value.starts_with(expression);
  const std::string_view low = expression.substr(0, dash);
  std::string high(expression.substr(dash + 1));
  if (!is_digits(low) || !is_digits(high) || low.size() > 18 || high.size() > 18 || value.size() > 18)
    return false;
  if (!replace_tail) {
    const auto number = [](std::string_view text) {
      int64_t n = 0;
      std::from_chars(text.data(), text.data() + text.size(), n);
      return n;
    };
    return is_digits(value) && number(value) >= number(low) && number(value) <= number(high);
  }
  if (high.size() < low.size()) high = std::string(low.substr(0, low.size() - high.size())) + high;
  return value.substr(0, low.size()) >= low && value.substr(0, high.size()) <= high &&
         value.size() >= low.size();
}

}  // namespace

bool match_host(std::string_view expression, std::string_view host) {
  if (expression.starts_with('=')) return expression.substr(1) == host;
  return match_words(lower(expression), lower(host), '.');
}

bool match_disk(std::string_view expression, std::string_view disk) {
  if (expression.starts_with('=')) return expression.substr(1) == disk;
  if (expression == "/") return disk == "/";
  // A Windows share is written with either slash.
  if (disk.starts_with("\\\\")) return match_words(slashes(expression), slashes(disk), '/');
  return match_words(expression, disk, '/');
}

bool match_date(std::string_view expression, std::string_view date) {
  return match_number(expression, date, true);
}

bool match_level(std::string_view expression, std::string_view level) {
  return match_number(expression, level, false);
}

base::Result<> check_host_expression(std::string_view expression) { return check_words(expression, '.'); }
base::Result<> check_disk_expression(std::string_view expression) { return check_words(expression, '/'); }

base::Result<> check_date_expression(std::string_view expression) {
  std::string_view rest = expression;
  if (rest.empty() || rest == "*") return {};
  if (rest.starts_with('=') || rest.starts_with('^')) rest.remove_prefix(1);
  if (rest.ends_with('$')) rest.remove_suffix(1);
  const size_t dash = rest.find('-');
  if (is_digits(rest.substr(0, dash)) && (dash == std::string_view::npos || is_digits(rest.substr(dash + 1))))
    return {};
  return base::fail(
      base::ErrorKind::refused,
      fmt::format("'{}' is no date: YYYYMMDD, its beginning, or a range such as 20101110-15 is expected",
                  expression));
}

bool DumpSpec::matches(std::string_view a_host, std::string_view a_disk, std::string_view a_date,
                       int a_level) const {
  return (host.empty() || match_host(host, a_host)) && (disk.empty() || match_disk(disk, a_disk)) &&
         match_date(date, a_date) && match_level(level, std::to_string(a_level));
}

base::Result<std::vector<size_t>> select(std::span<const DiskListEntry> dles,
                                         std::span<const std::string> words, bool exact) {
  std::vector<bool> chosen(dles.size(), words.empty());
  const auto host_fits = [&](const std::string& word, const std::string& host) {
    return exact ? word == host : match_host(word, host);
  };
  const auto disk_fits = [&](const std::string& word, const DiskListEntry& dle) {
    return exact ? word == dle.disk : match_disk(word, dle.disk);
  };
  const std::string* host = nullptr;  // the word that chose the hosts at hand
  bool has_disks = false;
  const auto choose_host = [&] {
    for (size_t i = 0; host != nullptr && !has_disks && i < dles.size(); ++i)
      if (host_fits(*host, dles[i].host)) chosen[i] = true;
  };
  for (const std::string& word : words) {
    if (!exact) {
      // A word with a stray bracket is an expression for neither.
      if (auto valid = check_host_expression(word); !valid) return std::unexpected(std::move(valid.error()));
    }
    const bool is_host =
        std::any_of(dles.begin(), dles.end(), [&](const auto& dle) { return host_fits(word, dle.host); });
    const bool is_disk = host != nullptr && std::any_of(dles.begin(), dles.end(), [&](const auto& dle) {
                           return host_fits(*host, dle.host) && disk_fits(word, dle);
                         });
    if (is_host && is_disk)
      return base::fail(
          base::ErrorKind::refused,
          fmt::format("'{}' could be a host or a disk of host '{}': say which, with ^ or =", word, *host));
    if (is_host) {
      choose_host();
      host = &word;
      has_disks = false;
      continue;
    }
    if (!is_disk)
      return base::fail(base::ErrorKind::refused,
                        fmt::format("'{}' matches neither a host nor a disk{}", word,
                                    host == nullptr ? "" : " of host '" + *host + "'"));
    for (size_t i = 0; i < dles.size(); ++i)
      if (host_fits(*host, dles[i].host) && disk_fits(word, dles[i])) chosen[i] = true;
    has_disks = true;
  }
  choose_host();
  std::vector<size_t> indexes;
  for (size_t i = 0; i < dles.size(); ++i)
    if (chosen[i]) indexes.push_back(i);
  return indexes;
}

}  // namespace headrace::config
