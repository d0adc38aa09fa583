#include "server/volume/vtape/perl_value.h"

#include <cctype>

#include <fmt/format.h>

namespace headrace::vtape {

using base::ErrorKind;
using base::Result;

PerlValue PerlValue::text(std::string value) {
  PerlValue out;
  out.type_ = Type::text;
  out.scalar_ = std::move(value);
  return out;
}

PerlValue PerlValue::number(int64_t value) {
  PerlValue out;
  out.type_ = Type::number;
  out.scalar_ = fmt::format("{}", value);
  return out;
}

PerlValue PerlValue::hash() {
  PerlValue out;
  out.type_ = Type::hash;
  return out;
}

const PerlValue* PerlValue::find(std::string_view key) const {
  const auto found = members_.find(key);
  return found == members_.end() ? nullptr : &found->second;
}

PerlValue& PerlValue::at(const std::string& key) {
  if (type_ != Type::hash) *this = hash();
  return members_[key];
}

void PerlValue::erase(const std::string& key) { members_.erase(key); }

class PerlParser {
 public:
  explicit PerlParser(std::string_view text) : rest_(text) {}

  Result<PerlValue> assignment() {
    skip_blanks();
    if (!take('$')) return bad("a scalar");
    while (!rest_.empty() && (std::isalnum(static_cast<unsigned char>(rest_[0])) != 0 || rest_[0] == '_'))
      step();
    skip_blanks();
    if (!take('=')) return bad("'='");
    auto result = value(0);
    if (!result) return result;
    skip_blanks();
    if (!take(';')) return bad("';'");
    skip_blanks();
    if (!rest_.empty()) return bad("the end");
    return result;
  }

 private:
  static constexpr int kMaxDepth = 32;

  static std::unexpected<base::Error> bad(std::string_view expected) {
    return base::fail(ErrorKind::corrupt, fmt::format("not a Perl literal: {} was expected", expected));
  }
  void step() { rest_.remove_prefix(1); }
  void skip_blanks() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0])) != 0) step();
  }
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    step();
    return true;
  }

  Result<PerlValue> value(int depth) {
    if (depth > kMaxDepth) return bad("less depth");
    skip_blanks();
    if (rest_.empty()) return bad("a value");
    const char c = rest_[0];
    if (c == '{') return hash(depth);
    if (c == '[') return array(depth);
    if (c == '\'' || c == '"') {
      auto text = string();
      if (!text) return std::unexpected(std::move(text).error());
      return PerlValue::text(std::move(*text));
    }
    if (rest_.starts_with("undef")) {
      rest_.remove_prefix(5);
      return PerlValue();
    }
    return number();
  }

  Result<PerlValue> number() {
    PerlValue out;
    out.type_ = PerlValue::Type::number;
    if (take('-')) out.scalar_ = "-";
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      out.scalar_ += rest_[0];
      step();
    }
    if (out.scalar_.empty() || out.scalar_ == "-") return bad("a value");
    return out;
  }

  // Single quotes know \\ and \'; double quotes more, but nothing that Perl would interpolate.
  Result<std::string> string() {
    const char quote = rest_[0];
    step();
    std::string out;
    while (!rest_.empty() && rest_[0] != quote) {
      char c = rest_[0];
      step();
      if (quote == '"' && (c == '$' || c == '@')) return bad("a literal string");
      if (c == '\\' && !rest_.empty()) {
        const char next = rest_[0];
        if (quote == '\'') {
          if (next == '\\' || next == '\'') {
            c = next;
            step();
          }
        } else if (next == 'n' || next == 't') {
          c = next == 'n' ? '\n' : '\t';
          step();
        } else if (std::isalnum(static_cast<unsigned char>(next)) == 0) {
          c = next;
          step();
        } else {
          return bad("a plain escape");
        }
      }
      out += c;
    }
    if (!take(quote)) return bad("the end of a string");
    return out;
  }

  Result<PerlValue> hash(int depth) {
    step();
    PerlValue out = PerlValue::hash();
    for (;;) {
      skip_blanks();
      if (take('}')) return out;
      std::string key;
      if (!rest_.empty() && (rest_[0] == '\'' || rest_[0] == '"')) {
        auto quoted = string();
        if (!quoted) return std::unexpected(std::move(quoted).error());
        key = std::move(*quoted);
      } else {
        while (!rest_.empty() &&
               (std::isalnum(static_cast<unsigned char>(rest_[0])) != 0 || rest_[0] == '_')) {
          key += rest_[0];
          step();
        }
        if (key.empty()) return bad("a key");
      }
      skip_blanks();
      if (!take('=') || !take('>')) return bad("'=>'");
      auto member = value(depth + 1);
      if (!member) return member;
      out.members_[key] = std::move(*member);
      skip_blanks();
      if (!take(',') && (rest_.empty() || rest_[0] != '}')) return bad("',' or '}'");
    }
  }

  Result<PerlValue> array(int depth) {
    step();
    PerlValue out;
    out.type_ = PerlValue::Type::array;
    for (;;) {
      skip_blanks();
      if (take(']')) return out;
      auto item = value(depth + 1);
      if (!item) return item;
      out.items_.push_back(std::move(*item));
      skip_blanks();
      if (!take(',') && (rest_.empty() || rest_[0] != ']')) return bad("',' or ']'");
    }
  }

  std::string_view rest_;
};

Result<PerlValue> parse_perl_assignment(std::string_view text) { return PerlParser(text).assignment(); }

static std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    out += c;
  }
  return out + "'";
}

void write_perl(const PerlValue& value, size_t depth, std::string& out) {
  const std::string indent((depth + 1) * 2, ' ');
  const std::string outdent(depth * 2, ' ');
  switch (value.type_) {
    case PerlValue::Type::undef:
      out += "undef";
      return;
    case PerlValue::Type::text:
      out += quoted(value.scalar_);
      return;
    case PerlValue::Type::number:
      out += value.scalar_;
      return;
    case PerlValue::Type::array:
      out += "[\n";
      for (const auto& item : value.items_) {
        out += indent;
        write_perl(item, depth + 1, out);
        out += ",\n";
      }
      out += outdent + "]";
      return;
    case PerlValue::Type::hash:
      if (value.members_.empty()) {
        out += "{}";
        return;
      }
      out += "{\n";
      for (const auto& [key, member] : value.members_) {
        out += indent + quoted(key) + " => ";
        write_perl(member, depth + 1, out);
        out += ",\n";
      }
      out += outdent + "}";
      return;
  }
}

std::string perl_assignment(std::string_view name, const PerlValue& value) {
  std::string out = fmt::format("${} = ", name);
  write_perl(value, 0, out);
  return out + ";\n";
}

}  // namespace headrace::vtape
