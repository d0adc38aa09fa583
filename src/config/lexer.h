// Splits a configuration file's text into tokens with their places, and collects what is to be said about the
// text. Borrows the text. Newlines are tokens: a parameter takes the rest of its line.
// Grammar: amanda.conf(5), observed with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace headrace::config {

// A longer token is a mistake, as in Amanda.
inline constexpr size_t kTokenLimitBytes = 4096;
// Mistakes beyond these are not reported one by one.
inline constexpr size_t kDiagnosticLimit = 200;

// Collects diagnostics, up to kDiagnosticLimit.
class Report {
 public:
  explicit Report(std::vector<Diagnostic>& into) : into_(into) {}
  void error(const Position& where, std::string message) { add(where, false, std::move(message)); }
  void warning(const Position& where, std::string message) { add(where, true, std::move(message)); }
  size_t errors() const { return errors_; }

 private:
  void add(const Position& where, bool warning, std::string message);
  std::vector<Diagnostic>& into_;
  size_t errors_ = 0;
};

enum class TokenKind { word, text, integer, real, comma, open_brace, close_brace, newline, end, bad };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view raw;  // as written
  std::string text;      // word: as written; text: unquoted
  int64_t integer = 0;   // saturated; `overflow` then
  bool overflow = false;
  double real = 0;
  Position where;

  bool is(TokenKind other) const { return kind == other; }
  bool ends_line() const { return kind == TokenKind::newline || kind == TokenKind::end; }
  // For messages: `"abc"`, `the end of the line`.
  std::string shown() const;
};

class Lexer {
 public:
  // Keeps views of `text`, which must outlive the lexer and its tokens.
  Lexer(std::string_view text, std::string file, Report& report, int first_line = 1);

  const Token& peek() const { return token_; }
  Token take();
  // To the next newline or the end, which is left to be taken.
  void skip_line();
  // Past the matching close brace, when a block's header is not understood. The open brace has been taken.
  void skip_block();
  // The rest of the current line as written, from the token not yet taken; a comment is included.
  std::string_view rest_of_line() const;
  size_t offset() const { return token_start_; }
  int line() const { return token_.where.line; }

 private:
  void advance();
  void skip_blanks();
  Token text_token();
  Token number_token();
  Token word_token();
  void step(size_t bytes);

  std::string_view text_;
  std::string file_;
  Report& report_;
  size_t at_ = 0;
  size_t token_start_ = 0;
  int line_;
  int column_ = 1;
  Token token_;
};

// Keywords compare without case, and `-` is `_`. The canonical form is upper case with `-`.
std::string keyword(std::string_view word);
// Names of definitions compare without case, but `-` is not `_`.
bool same_name(std::string_view a, std::string_view b);
std::string lower(std::string_view text);
std::string upper(std::string_view text);

}  // namespace headrace::config
