#include "config/lexer.h"

#include <fmt/core.h>

#include <charconv>
#include <limits>

#include "base/quote.h"

namespace headrace::config {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool in_word(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; }
char lower_char(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
char upper_char(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

constexpr size_t kShownBytes = 40;

}  // namespace

void Report::add(const Position& where, bool warning, std::string message) {
  if (!warning) ++errors_;
  if (into_.size() > kDiagnosticLimit) return;
  if (into_.size() == kDiagnosticLimit) message = "too many mistakes; the rest are not shown";
  into_.push_back({where.file, where.line, where.column, warning, std::move(message)});
}

std::string Token::shown() const {
  switch (kind) {
    case TokenKind::newline:
      return "the end of the line";
    case TokenKind::end:
      return "the end of the file";
    default:
      break;
  }
  if (raw.size() > kShownBytes) return base::quote_always(std::string(raw.substr(0, kShownBytes)) + "…");
  return is(TokenKind::text) ? std::string(raw) : fmt::format("'{}'", raw);
}

Lexer::Lexer(std::string_view text, std::string file, Report& report, int first_line)
    : text_(text), file_(std::move(file)), report_(report), line_(first_line) {
  advance();
}

Token Lexer::take() {
  Token taken = token_;
  if (!taken.is(TokenKind::end)) advance();
  return taken;
}

void Lexer::skip_line() {
  while (!token_.ends_line()) advance();
}

void Lexer::skip_block() {
  int depth = 1;
  while (!token_.is(TokenKind::end)) {
    const Token token = take();
    if (token.is(TokenKind::open_brace)) ++depth;
    if (token.is(TokenKind::close_brace) && --depth == 0) return;
  }
}

std::string_view Lexer::rest_of_line() const {
  if (token_.ends_line()) return {};
  const size_t end = text_.find('\n', token_start_);
  return text_.substr(token_start_, end == std::string_view::npos ? end : end - token_start_);
}

// Columns count characters, so bytes that continue a UTF-8 character do not count.
void Lexer::step(size_t bytes) {
  for (size_t i = 0; i < bytes; ++i, ++at_) {
    if (text_[at_] == '\n') {
      ++line_;
      column_ = 1;
    } else if ((static_cast<unsigned char>(text_[at_]) & 0xC0U) != 0x80U) {
      ++column_;
    }
  }
}

void Lexer::skip_blanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
      step(1);
    } else if (c == '#') {
      const size_t end = text_.find('\n', at_);
      step((end == std::string_view::npos ? text_.size() : end) - at_);
    } else {
      return;
    }
  }
}

void Lexer::advance() {
  skip_blanks();
  token_start_ = at_;
  const Position where{file_, line_, column_};
  Token token;
  if (at_ == text_.size()) {
    token.kind = TokenKind::end;
  } else if (const char c = text_[at_]; c == '"') {
    token = text_token();
  } else if (is_digit(c) || (c == '-' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
    token = number_token();
  } else if (is_letter(c)) {
    token = word_token();
  } else {
    token.kind = c == '\n'  ? TokenKind::newline
                 : c == ',' ? TokenKind::comma
                 : c == '{' ? TokenKind::open_brace
                 : c == '}' ? TokenKind::close_brace
                            : TokenKind::bad;
    step(1);
    // A character of several bytes is one bad token.
    while (token.kind == TokenKind::bad && at_ < text_.size() &&
           (static_cast<unsigned char>(text_[at_]) & 0xC0U) == 0x80U)
      step(1);
  }
  token.raw = text_.substr(token_start_, at_ - token_start_);
  token.where = where;
  if (token.raw.size() > kTokenLimitBytes) {
    report_.error(where, fmt::format("longer than {} bytes: {}", kTokenLimitBytes, token.shown()));
    token.kind = TokenKind::bad;
  }
  token_ = std::move(token);
}

Token Lexer::text_token() {
  const Position where{file_, line_, column_};
  Token token;
  size_t end = at_ + 1;
  while (end < text_.size() && text_[end] != '"' && text_[end] != '\n') {
    if (text_[end] == '\\' && end + 1 < text_.size()) ++end;
    ++end;
  }
  if (end < text_.size() && text_[end] == '"') {
    const std::string_view raw = text_.substr(at_, end + 1 - at_);
    token.kind = TokenKind::text;
    token.text = base::unquote(raw);
    step(raw.size());
    return token;
  }
  report_.error(where, "the string is not terminated: a closing '\"' is expected before the end of the line");
  token.kind = TokenKind::bad;
  step(std::min(end, text_.size()) - at_);
  return token;
}

Token Lexer::number_token() {
  Token token;
  size_t end = at_ + 1;
  while (end < text_.size() && is_digit(text_[end])) ++end;
  token.kind = TokenKind::integer;
  const char* begin = text_.data() + at_;
  if (end < text_.size() && text_[end] == '.') {
    token.kind = TokenKind::real;
    ++end;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    const auto parsed = std::from_chars(begin, text_.data() + end, token.real, std::chars_format::fixed);
    token.overflow = parsed.ec != std::errc();
  } else {
    const auto parsed = std::from_chars(begin, text_.data() + end, token.integer);
    if (parsed.ec != std::errc()) {
      token.overflow = true;
      token.integer =
          *begin == '-' ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
    }
    token.real = static_cast<double>(token.integer);
  }
  step(end - at_);
  return token;
}

Token Lexer::word_token() {
  Token token;
  token.kind = TokenKind::word;
  size_t end = at_;
  while (end < text_.size() && in_word(text_[end])) ++end;
  token.text = text_.substr(at_, end - at_);
  step(end - at_);
  return token;
}

std::string keyword(std::string_view word) {
  std::string text;
  text.reserve(word.size());
  for (const char c : word) text += c == '_' ? '-' : upper_char(c);
  return text;
}

bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (lower_char(a[i]) != lower_char(b[i])) return false;
  return true;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower_char(c);
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = upper_char(c);
  return out;
}

}  // namespace headrace::config
