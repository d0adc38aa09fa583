#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/human_kib.h"
#include "base/json_text.h"
#include "base/quote.h"

namespace headrace::base {
namespace {

TEST(Crc32c, KnownAnswerAndText) {
  Crc32c crc;
  crc.add(as_bytes("1234"));
  crc.add(as_bytes("56789"));
  EXPECT_EQ(crc.value().crc, 0xe3069283U);
  EXPECT_EQ(crc.value().text(), "e3069283:9");
  EXPECT_EQ(CrcAndSize::parse("e3069283:9"), crc.value());
  EXPECT_FALSE(CrcAndSize::parse("nonsense").known());
  EXPECT_FALSE(CrcAndSize::parse("e306zz83:9").known());
}

TEST(Quote, QuotesWhatAmandaQuotes) {
  EXPECT_EQ(quote("/usr/share"), "/usr/share");
  EXPECT_EQ(quote(""), "\"\"");
  EXPECT_EQ(quote("a b"), "\"a b\"");
  EXPECT_EQ(quote("ST:x"), "\"ST:x\"");
  EXPECT_EQ(quote("q\"\\\n"), "\"q\\\"\\\\\\n\"");
  EXPECT_EQ(quote("\xc3\xa9"), "\"\xc3\xa9\"");
}

TEST(Quote, UnquoteUndoesQuote) {
  for (std::string text :
       {"", "a", "a b", "t\tn\nr\rf\f", "\"", "\\", "\xc3\xa9:'x'", "\\101", "a\"b c\"d"}) {
    EXPECT_EQ(unquote(quote(text)), text);
    EXPECT_EQ(unquote(quote_always(text)), text);
  }
  EXPECT_EQ(unquote("|\"a b\"\"c d\""), "|a bc d");
  EXPECT_EQ(unquote("\\303\\251x"), "\xc3\xa9x");
  EXPECT_EQ(unquote("\\000a\\"), "a");
}

TEST(Quote, WordsAndLinesRespectQuotes) {
  auto words = split_quoted("  a \"b c\"  d\\ e");
  ASSERT_EQ(words.size(), 3U);
  EXPECT_EQ(words[1], "\"b c\"");
  EXPECT_EQ(words[2], "d\\ e");
  std::string_view rest = "one \"x\ny\"\ntwo";
  EXPECT_EQ(take_quoted_line(rest), "one \"x\ny\"");
  EXPECT_EQ(take_quoted_line(rest), "two");
  EXPECT_TRUE(rest.empty());
}

TEST(JsonText, EscapesWhatMayNotStandInAString) {
  std::string out = "x=";
  append_json_string(out, "a\"b\\c\b\f\n\r\t\x01\x1f\x7f/\xc3\xa9");
  EXPECT_EQ(out, "x=\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\xc3\xa9\"");
}

TEST(Quote, Mangle) { EXPECT_EQ(mangle("/a b:c\\d"), "_a b_c_d"); }

TEST(Clock, TimestampsRoundTrip) {
  const int64_t moment = 1795396438;
  EXPECT_EQ(unix_of_timestamp(timestamp14(moment)), moment);
  EXPECT_EQ(unix_of_timestamp("20261399000000"), 0);
  EXPECT_EQ(unix_of_timestamp("2026"), 0);
  EXPECT_EQ(unix_of_timestamp("2026112x"), 0);
}

TEST(Error, SaysWhatAndWhile) {
  Error error = Error::system("open /x", ENOSPC).during("writing chunk 2");
  EXPECT_EQ(error.kind(), ErrorKind::full);
  EXPECT_EQ(error.what(), "open /x: No space left on device, while writing chunk 2");
}

TEST(HumanKib, WholeFiguresOfAFittingUnit) {
  EXPECT_EQ(human_kib(0), "0 KiB");
  EXPECT_EQ(human_kib(10 * 1024 - 1), "10239 KiB");
  EXPECT_EQ(human_kib(10 * 1024), "10 MiB");
  EXPECT_EQ(human_kib(10 * 1024 * 1024 - 1), "10239 MiB");
  EXPECT_EQ(human_kib(10 * 1024 * 1024), "10 GiB");
  EXPECT_EQ(human_kib(UINT64_MAX), "17592186044415 GiB");
}

TEST(Bytes, KibRoundsUp) {
  EXPECT_EQ(to_kib(0), 0U);
  EXPECT_EQ(to_kib(1), 1U);
  EXPECT_EQ(to_kib(1025), 2U);
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
}

}  // namespace
}  // namespace headrace::base
