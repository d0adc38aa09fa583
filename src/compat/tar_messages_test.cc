#include "compat/tar_messages.h"

#include <gtest/gtest.h>

namespace headrace::compat {
namespace {

using Class = TarMessage::Class;

struct Case {
  const char* line;
  Class gnutar;
  Class amgtar;
};

class TarMessagesTable : public testing::TestWithParam<Case> {};

TEST_P(TarMessagesTable, SortsTheLineInBothDialects) {
  EXPECT_EQ(TarMessages(TarDialect::gnutar).classify(GetParam().line).what, GetParam().gnutar);
  EXPECT_EQ(TarMessages(TarDialect::amgtar).classify(GetParam().line).what, GetParam().amgtar);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, TarMessagesTable,
    testing::Values(
        Case{"Total bytes written: 215040 (210KiB, 111MiB/s)", Class::size, Class::size},
        Case{"  Total bytes written: 10240", Class::size, Class::size},
        Case{"Total bytes written: many", Class::strange, Class::strange},
        Case{"tar: Total bytes written: 5", Class::strange, Class::strange},
        Case{"/bin/tar: ./sock: socket ignored", Class::normal, Class::normal},
        Case{"/bin/tar: ./sock: socket ignored twice", Class::strange, Class::strange},
        Case{"Elapsed time: 3 s", Class::normal, Class::normal},
        Case{"Throughput 5", Class::normal, Class::normal},
        Case{"tar: dumped 12 files", Class::normal, Class::normal},
        Case{"tar: dumped 12 tar files", Class::normal, Class::normal},
        Case{"tar: dumped many files", Class::strange, Class::strange},
        Case{"/bin/tar: ./d: Directory is new", Class::ignored, Class::ignored},
        Case{"/bin/tar: ./d: Directory has been renamed from './c'", Class::ignored, Class::ignored},
        Case{"/bin/tar: ./p: directory is on a different filesystem; not dumped", Class::normal,
             Class::normal},
        Case{"/bin/tar: ./x: file is unchanged; not dumped", Class::ignored, Class::ignored},
        Case{"/bin/tar: ./x: File removed before we read it", Class::strange, Class::strange},
        Case{"/bin/tar: ./x: file changed as we read it", Class::strange, Class::strange},
        Case{"/bin/tar: ./x: File shrunk by 5 bytes; padding with zeros", Class::strange, Class::strange},
        Case{"gtar: ./x: File x shrunk by 5 bytes, padding with zeros", Class::strange, Class::normal},
        Case{"gtar: ./x: File x shrunk by some bytes, padding with zeros", Class::strange, Class::strange},
        Case{"gtar: ./x: Cannot add file x: No such file or directory", Class::strange, Class::normal},
        Case{"gtar: Error exit delayed from previous errors", Class::strange, Class::normal},
        Case{"could not open conf file", Class::strange, Class::normal},
        Case{"/bin/tar: /nosuch: Cannot open: No such file or directory", Class::strange, Class::strange},
        Case{"", Class::strange, Class::strange}));

TEST(TarMessages, ReadsTheSize) {
  EXPECT_EQ(TarMessages(TarDialect::gnutar).classify("Total bytes written: 215040 (x)").bytes, 215040U);
}

TEST(TarMessages, UserPatternsGoBeforeTheBuiltInOnesOfTheirKind) {
  MessagePatterns patterns;
  patterns.ignore = {"File removed"};
  patterns.normal = {"file changed as we read it$", "^x+y"};
  auto messages = TarMessages::make(TarDialect::amgtar, patterns);
  ASSERT_TRUE(messages.has_value());
  EXPECT_EQ(messages->classify("tar: ./a: File removed before we read it").what, Class::ignored);
  EXPECT_EQ(messages->classify("tar: ./a: file changed as we read it").what, Class::normal);
  EXPECT_EQ(messages->classify("xxy").what, Class::normal);
  EXPECT_EQ(messages->classify("zxxy").what, Class::strange);
  // The size is never anything else: a dump without size fails.
  patterns.ignore = {"Total"};
  EXPECT_EQ(TarMessages::make(TarDialect::amgtar, patterns)->classify("Total bytes written: 1").what,
            Class::size);
}

TEST(TarMessages, NamesTheExpressionThatDoesNotCompile) {
  for (auto member : {&MessagePatterns::ignore, &MessagePatterns::normal, &MessagePatterns::strange}) {
    MessagePatterns patterns;
    patterns.*member = {"fine", "(["};
    auto messages = TarMessages::make(TarDialect::amgtar, patterns);
    ASSERT_FALSE(messages.has_value());
    EXPECT_NE(messages.error().what().find("regex \"([\": "), std::string::npos) << messages.error().what();
  }
}

}  // namespace
}  // namespace headrace::compat
