#include "server/dump/message_log.h"

#include <gtest/gtest.h>

namespace headrace::dump {
namespace {

constexpr const char* kHeader =
    "sendbackup: start [h:/d level 0]\nsendbackup: info BACKUP=/bin/tar\nsendbackup: info end\n";

// Feeds a text line by line; a last line without newline is partial.
MessageLog fed(std::string_view text, size_t max_messages = 100) {
  MessageLog log(max_messages);
  while (!text.empty()) {
    const size_t end = text.find('\n');
    log.add(text.substr(0, end), end == std::string_view::npos);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return log;
}

struct Case {
  const char* name;
  const char* text;     // after the header
  const char* verdict;  // part of the error's words; empty: good
  bool strange;
};

class Verdicts : public ::testing::TestWithParam<Case> {};

TEST_P(Verdicts, AreAsTheLinesSay) {
  const Case& it = GetParam();
  const auto log = fed(std::string(kHeader) + it.text);
  const auto verdict = log.verdict();
  EXPECT_EQ(verdict.has_value(), std::string_view(it.verdict).empty());
  if (!verdict)
    EXPECT_NE(verdict.error().what().find(it.verdict), std::string::npos) << verdict.error().what();
  EXPECT_EQ(log.strange(), it.strange);
}

INSTANTIATE_TEST_SUITE_P(
    MessageLog, Verdicts,
    ::testing::Values(
        Case{"good", "| Total bytes written: 10240\nsendbackup: size 10\nsendbackup: end\n", "", false},
        Case{"strange", "? tar: ./x: changed\nsendbackup: size 10\nsendbackup: end\n", "", true},
        Case{"warning", "sendbackup: warning [odd]\nsendbackup: size 10\nsendbackup: end\n", "", true},
        Case{"unknown", "what is this\nsendbackup: size 10\nsendbackup: end\n", "", true},
        Case{"error", "sendbackup: error [tar died]\n", "tar died", false},
        Case{"error_despite_end", "sendbackup: error [tar died]\nsendbackup: size 10\nsendbackup: end\n",
             "tar died", false},
        Case{"first_error_counts", "sendbackup: error [one]\nsendbackup: error [two]\n", "one", false},
        Case{"no_size", "sendbackup: end\n", "missing size line", false},
        Case{"no_end", "sendbackup: size 10\n", "missing end line", false},
        Case{"cut_line", "sendbackup: size 10\nsendbackup: en", "break off", true},
        Case{"cut_end_line", "sendbackup: size 10\nsendbackup: end", "break off", true},
        Case{"retry", "sendbackup: retry delay 5 level 1 message \"busy\"\n", "busy", false},
        Case{"nothing", "", "missing size line", false}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(MessageLog, WithoutHeaderNothingIsGood) {
  const auto log = fed("sendbackup: size 10\nsendbackup: end\n");
  EXPECT_FALSE(log.header_complete());
  ASSERT_FALSE(log.verdict());
  EXPECT_NE(log.verdict().error().what().find("without describing"), std::string::npos);
}

TEST(MessageLog, DescribesTheHeader) {
  const auto log =
      fed("sendbackup: info BACKUP=APPLICATION\nsendbackup: info APPLICATION=amgtar\n"
          "sendbackup: info RECOVER_CMD=/usr/bin/gzip -dc |/bin/tar -xpGf - ...\n"
          "sendbackup: info COMPRESS_SUFFIX=.gz\nsendbackup: info CLIENT_ENCRYPT=/usr/sbin/amcrypt\n"
          "sendbackup: info CLIENT_DECRYPT_OPTION=-d\nsendbackup: info end\n");
  wire::DumpHeader header;
  log.describe(header);
  EXPECT_TRUE(log.header_complete());
  EXPECT_EQ(header.program, "APPLICATION");
  EXPECT_EQ(header.application, "amgtar");
  EXPECT_EQ(header.recover_command, "/usr/bin/gzip -dc |/bin/tar -xpGf - ...");
  EXPECT_EQ(header.compress_suffix, ".gz");
  EXPECT_EQ(header.client_encrypt_program, "/usr/sbin/amcrypt");
  EXPECT_EQ(header.client_decrypt_option, "-d");
  EXPECT_TRUE(header.encrypted);
}

TEST(MessageLog, NumbersAndState) {
  const auto log =
      fed(std::string(kHeader) +
          "sendbackup: native-CRC 8a716bc9:3010560\nsendbackup: client-CRC 9d1ec682:500437\n"
          "sendbackup: state one\nsendbackup: state two\nsendbackup: size 2940\nsendbackup: end\n");
  EXPECT_EQ(log.native_kib(), 2940U);
  EXPECT_EQ(log.native_crc().text(), "8a716bc9:3010560");
  EXPECT_EQ(log.client_crc().text(), "9d1ec682:500437");
  EXPECT_EQ(log.state(), "one\ntwo\n");
  EXPECT_EQ(log.lines().size(), 4U) << "start, info, size, end; CRCs and state are for machines";
}

TEST(MessageLog, RetryIsKept) {
  const auto log = fed("sendbackup: retry delay 5 level 1 message \"busy\"\n");
  ASSERT_TRUE(log.retry());
  EXPECT_EQ(*log.retry(), (wire::Retry{5, 1, "busy"}));
}

TEST(MessageLog, TooManyMessagesAreDroppedWithAWord) {
  std::string text = kHeader;
  for (int i = 0; i < 50; ++i) text += "? strange\n";
  const auto log = fed(text + "sendbackup: size 1\nsendbackup: end\n", 10);
  ASSERT_EQ(log.lines().size(), 11U);
  EXPECT_NE(log.lines().back().find("dropped"), std::string::npos);
  EXPECT_TRUE(log.verdict()) << "what is dropped from the report still counts";
}

}  // namespace
}  // namespace headrace::dump
