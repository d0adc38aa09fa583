#include "config/disklist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/cases_for_test.h"

namespace headrace::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kData = std::filesystem::path(HEADRACE_TEST_DATA) / "config";

const ServerConfig& config() {
  static const ServerConfig loaded = *load_server(kData / "disklists");
  return loaded;
}

Loaded<std::vector<DiskListEntry>> read(std::string_view text) {
  return load_disklist_text(config(), text, "disklist");
}

std::vector<std::string> mistakes(std::string_view text) {
  std::vector<std::string> texts;
  for (const Diagnostic& diagnostic : read(text).diagnostics) texts.push_back(diagnostic.text());
  return texts;
}

TEST(Disklist, AgreesWithAmandaOnWhatIsAccepted) {
  const auto cases = read_cases(kData / "disklist_cases.txt");
  ASSERT_GT(cases.size(), 50U);
  for (const auto& [verdict, text] : cases)
    EXPECT_EQ(read(text + "\n").ok(), verdict == "ok" || verdict == "lenient") << verdict << ": " << text;
}

TEST(Disklist, ReadsEntries) {
  const auto list = read(
      "# comment\n\n"
      "h /a a\n"
      "h \"/b c\" /dev/b b 3 LO  # comment\n"
      "g x {\n  a\n  index no\n} 2\n"
      "  # comment\n"
      "g /y /y a");
  ASSERT_TRUE(list.ok()) << errors_text(list.diagnostics);
  ASSERT_EQ(list->size(), 4U);
  const auto& entries = *list;
  EXPECT_EQ(entries[0].host, "h");
  EXPECT_EQ(entries[0].disk, "/a");
  EXPECT_EQ(entries[0].device, "/a");
  EXPECT_FALSE(entries[0].has_device);
  EXPECT_EQ(entries[0].dumptype.name, "a");
  EXPECT_EQ(entries[0].spindle, -1);
  EXPECT_EQ(entries[0].interface_name, "lo");  // the host's last entry decides
  EXPECT_EQ(entries[0].line, 3);
  EXPECT_EQ(entries[1].disk, "/b c");
  EXPECT_EQ(entries[1].device, "/dev/b");
  EXPECT_EQ(entries[1].dumptype.application.plugin, "amgtar");
  EXPECT_EQ(entries[1].spindle, 3);
  EXPECT_EQ(entries[2].dumptype.name, "custom(g:x)");
  EXPECT_EQ(entries[2].dumptype.program, "GNUTAR");
  EXPECT_FALSE(entries[2].dumptype.index);
  EXPECT_EQ(entries[2].spindle, 2);
  EXPECT_EQ(entries[2].line, 5);
  EXPECT_EQ(entries[3].line, 10);
  EXPECT_TRUE(entries[3].has_device);
  EXPECT_EQ(entries[3].interface_name, "default");
}

TEST(Disklist, MaxdumpsOfAHostIsThatOfItsLastEntry) {
  const auto list = read("h /a {\n a\n maxdumps 4\n}\nh /b {\n a\n maxdumps 5\n}\ng /c a\n");
  ASSERT_TRUE(list.ok());
  EXPECT_EQ((*list)[0].dumptype.maxdumps, 5);
  EXPECT_EQ((*list)[1].dumptype.maxdumps, 5);
  EXPECT_EQ((*list)[2].dumptype.maxdumps, 1);
}

TEST(Disklist, IncludesFiles) {
  const auto list = read("includefile \"dl2\"\nh /a a\n");
  ASSERT_TRUE(list.ok()) << errors_text(list.diagnostics);
  EXPECT_EQ((*list)[0].host, "g");
  EXPECT_THAT((*list)[0].file, testing::EndsWith("disklists/dl2"));
  EXPECT_EQ((*list)[1].file, "disklist");
  EXPECT_EQ((*list)[1].line, 2);
}

TEST(Disklist, SaysWhatIsWrongAndWhere) {
  struct Case {
    std::string_view text;
    std::string message;
  };
  for (const Case& c : {
           Case{"h", "disklist:1:2: the name of the disk is expected"},
           Case{"h \"\" a", "disklist:1:3: the name of the disk is empty"},
           Case{"h /a", "disklist:1:5: a dumptype, a device or '{' is expected"},
           Case{"h /a # a", "disklist:1:6: a dumptype, a device or '{' is expected"},
           Case{"h /a no-compres", "disklist:1:6: dumptype \"no-compres\" is not defined; did you mean"},
           Case{"h /a /dev/x nope", "disklist:1:13: dumptype \"nope\" is not defined"},
           Case{"h /a \"\" a", "disklist:1:6: the name of the device is empty"},
           Case{"h /a a x", "disklist:1:8: a spindle is an integer, not 'x'"},
           Case{"h /a a 1 no", "disklist:1:10: interface 'no' is not defined"},
           Case{"h /a a 1 lo x", "disklist:1:13: the end of the line is expected, not 'x'"},
           Case{"h /a { a }", "disklist:1:7: the end of the line is expected after '{', not 'a'"},
           Case{"h /a {\n indx no\n}",
                "disklist:2:2: 'indx' is not a dumptype parameter; did you mean 'index'?"},
           Case{"h /a {\n a\n", "disklist:3:1: '}' is expected: dumptype custom(h:/a) begins at disklist:1"},
           Case{"h /a a\nh /a a", "disklist:2:1: h:/a is already in the list at disklist:1"},
           Case{"h /a a\nH /b a", "disklist:2:1: host 'H' is written 'h' before: one of them only"},
           Case{"h:x /a a\nh_x /a a", "disklist:2:1: hosts 'h_x' and 'h:x' would have the same file names"},
           Case{"h a:b a\nh a_b a",
                "disklist:2:1: disks 'a_b' and 'a:b' of h would have the same file names"},
           Case{"h /a {\n program \"GNUTAR\"\n application \"ap\"\n}",
                "disklist:1:1: dumptype custom(h:/a) has program \"GNUTAR\" and an application: one of them "
                "only"},
           Case{"h /a {\n program \"APPLICATION\"\n}", "has program \"APPLICATION\" but no application"},
           Case{"h /a {\n program \"APPLICATION\"\n application \"noplug\"\n}",
                "application noplug has no plugin"},
           Case{"h /a {\n a\n script {\n  order 3\n }\n}", "has no plugin"},
           Case{"h /a {\n a\n property \"headrace-holdingdisk\" \"sometimes\"\n}",
                "property \"headrace-holdingdisk\" has one value, \"degraded\", or is left out"},
           Case{"h /a {\n a\n holdingdisk never\n property \"headrace-holdingdisk\" \"degraded\"\n}",
                "contradicts holdingdisk never: it needs holdingdisk auto"},
           Case{"includefile", "disklist:1:12: the name of a file is expected"},
           Case{"includefile nope", "disklist:1:13: open "},
       }) {
    const auto found = mistakes(c.text);
    ASSERT_FALSE(found.empty()) << c.text;
    EXPECT_THAT(found[0], HasSubstr(c.message)) << c.text;
  }
}

TEST(Disklist, HoldingDiskMayBeForDegradedRunsAlone) {
  const auto config = load_server_text(
      "define dumptype d {\n program \"GNUTAR\"\n property \"Headrace_HoldingDisk\" \"degraded\"\n}\n",
      "/nowhere");
  ASSERT_TRUE(config.ok()) << errors_text(config.diagnostics);
  const auto list = load_disklist_text(*config, "h /a d\nh /b {\n d\n property \"x\" \"y\"\n}\n", "disklist");
  ASSERT_TRUE(list.ok()) << errors_text(list.diagnostics);
  for (const auto& entry : *list) EXPECT_EQ(entry.dumptype.holdingdisk, Holding::when_degraded) << entry.disk;
}

TEST(Disklist, ReportsAllMistakesAtOnce) {
  EXPECT_THAT(
      mistakes("h\nh /a {\n foo\n bar\n}\nh /b nope\nh /c a x\n"),
      ElementsAre(HasSubstr(":1:"), HasSubstr(":3:"), HasSubstr(":4:"), HasSubstr(":6:"), HasSubstr(":7:")));
}

TEST(Disklist, NamesWhatADiskAsksForInVain) {
  const auto list = read("h /a no-compress\nh /b {\n a\n compress none\n kencrypt\n}\n");
  ASSERT_TRUE(list.ok());
  ASSERT_EQ((*list)[0].not_honoured.size(), 1U);
  EXPECT_EQ((*list)[0].not_honoured[0].parameter, "dumptype:NO-COMPRESS:program");
  EXPECT_EQ((*list)[0].not_honoured[0].value, "DUMP");
  ASSERT_EQ((*list)[1].not_honoured.size(), 1U);
  EXPECT_EQ((*list)[1].not_honoured[0].where.line, 5);
}

TEST(Disklist, AMissingFileIsAMistake) {
  ServerConfig without = config();
  without.globals.diskfile = "/nowhere/disklist";
  const auto list = load_disklist(without);
  ASSERT_EQ(list.diagnostics.size(), 1U);
  EXPECT_EQ(list.diagnostics[0].text(),
            "/nowhere/disklist: open /nowhere/disklist: No such file or directory");
}

}  // namespace
}  // namespace headrace::config
