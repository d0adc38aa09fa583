#include "config/lexer.h"

#include <gtest/gtest.h>

namespace headrace::config {
namespace {

struct Lexed {
  std::vector<Token> tokens;
  std::vector<Diagnostic> diagnostics;
};

Lexed lex(std::string_view text) {
  Lexed lexed;
  Report report(lexed.diagnostics);
  Lexer lexer(text, "f", report);
  while (!lexer.peek().is(TokenKind::end)) lexed.tokens.push_back(lexer.take());
  return lexed;
}

TEST(Lexer, CutsALineIntoTokensWithTheirPlaces) {
  const auto lexed = lex("define dumptype \"a b\" {\n  size -5k,1.5 # comment { \"\n}");
  ASSERT_EQ(lexed.diagnostics.size(), 0U);
  const std::vector<std::tuple<TokenKind, std::string, int, int>> expected{
      {TokenKind::word, "define", 1, 1},   {TokenKind::word, "dumptype", 1, 8},
      {TokenKind::text, "\"a b\"", 1, 17}, {TokenKind::open_brace, "{", 1, 23},
      {TokenKind::newline, "\n", 1, 24},   {TokenKind::word, "size", 2, 3},
      {TokenKind::integer, "-5", 2, 8},    {TokenKind::word, "k", 2, 10},
      {TokenKind::comma, ",", 2, 11},      {TokenKind::real, "1.5", 2, 12},
      {TokenKind::newline, "\n", 2, 29},   {TokenKind::close_brace, "}", 3, 1}};
  ASSERT_EQ(lexed.tokens.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& [kind, raw, line, column] = expected[i];
    EXPECT_EQ(lexed.tokens[i].kind, kind) << i;
    EXPECT_EQ(lexed.tokens[i].raw, raw) << i;
    EXPECT_EQ(lexed.tokens[i].where, (Position{"f", line, column})) << i;
  }
}

TEST(Lexer, ColumnsCountCharacters) {
  const auto lexed = lex("\"é€\" x");
  ASSERT_EQ(lexed.tokens.size(), 2U);
  EXPECT_EQ(lexed.tokens[1].where.column, 6);
}

TEST(Lexer, Strings) {
  struct Case {
    std::string_view written;
    std::string value;
  };
  for (const Case& c :
       {Case{R"("a\"b\\c")", "a\"b\\c"}, Case{R"("\n\t\r\f")", "\n\t\r\f"}, Case{R"("\101b\x")", "Abx"},
        Case{"\"a\\\nb\"", "a\nb"}, Case{"\"#{},\"", "#{},"}, Case{"\"\"", ""}}) {
    const auto lexed = lex(c.written);
    ASSERT_EQ(lexed.tokens.size(), 1U) << c.written;
    EXPECT_EQ(lexed.tokens[0].text, c.value) << c.written;
    EXPECT_TRUE(lexed.diagnostics.empty());
  }
}

TEST(Lexer, AStringEndsOnItsLine) {
  const auto lexed = lex("a \"open\nb");
  ASSERT_EQ(lexed.diagnostics.size(), 1U);
  EXPECT_EQ(lexed.diagnostics[0].text(),
            "f:1:3: the string is not terminated: a closing '\"' is expected before the end of the line");
  ASSERT_EQ(lexed.tokens.size(), 4U);
  EXPECT_TRUE(lexed.tokens[1].is(TokenKind::bad));
  EXPECT_EQ(lexed.tokens[3].text, "b");
}

TEST(Lexer, ALongTokenIsAMistake) {
  const auto lexed = lex("\"" + std::string(kTokenLimitBytes, 'x') + "\" y");
  ASSERT_EQ(lexed.diagnostics.size(), 1U);
  EXPECT_NE(lexed.diagnostics[0].message.find("longer than 4096 bytes"), std::string::npos);
  ASSERT_EQ(lexed.tokens.size(), 2U);
}

TEST(Lexer, NumbersSaturate) {
  const auto lexed = lex("99999999999999999999 -99999999999999999999");
  EXPECT_TRUE(lexed.tokens[0].overflow);
  EXPECT_TRUE(lexed.tokens[1].overflow);
  EXPECT_LT(lexed.tokens[1].integer, 0);
}

TEST(Lexer, OddBytesAreBadTokens) {
  for (const std::string& text :
       {std::string("\0", 1), std::string("%"), std::string("\xff\xfe"), std::string("-")}) {
    const auto lexed = lex(text);
    ASSERT_FALSE(lexed.tokens.empty());
    EXPECT_TRUE(lexed.tokens[0].is(TokenKind::bad));
  }
}

TEST(Lexer, SkipsABlockWithItsInnerBlocks) {
  std::vector<Diagnostic> diagnostics;
  Report report(diagnostics);
  Lexer lexer("a {\n b {\n }\n}\nc", "f", report);
  lexer.take();
  lexer.take();
  lexer.skip_block();
  lexer.take();
  EXPECT_EQ(lexer.peek().text, "c");
}

TEST(Report, StopsAtItsLimit) {
  std::vector<Diagnostic> diagnostics;
  Report report(diagnostics);
  for (int i = 0; i < 1000; ++i) report.error({"f", i, 1}, "x");
  EXPECT_EQ(report.errors(), 1000U);
  EXPECT_EQ(diagnostics.size(), kDiagnosticLimit + 1);
  EXPECT_EQ(diagnostics.back().message, "too many mistakes; the rest are not shown");
}

TEST(Names, KeywordsAndNames) {
  EXPECT_EQ(keyword("Tape_Splitsize"), "TAPE-SPLITSIZE");
  EXPECT_TRUE(same_name("Daily", "dAILY"));
  EXPECT_FALSE(same_name("a-b", "a_b"));
  EXPECT_FALSE(same_name("a", "ab"));
}

}  // namespace
}  // namespace headrace::config
