#include "compat/exclude_lists.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

class SelectionLists : public testing::Test {
 protected:
  void SetUp() override {
    // A directory whose own name means something to glob().
    directory_ = fs::temp_directory_path() / ("lists[*]" + std::to_string(::getpid()));
    fs::create_directories(directory_ / "d");
    for (const char* name : {"a1", "a2", "b", "with blank", "back\\slash", "d/x", "d/y"}) put(name, "");
  }
  void TearDown() override { fs::remove_all(directory_); }
  void put(const std::string& name, std::string_view text) {
    ASSERT_TRUE(base::replace_file(directory_ / name, text, 0600).has_value());
  }

  fs::path directory_;
};

TEST(ExcludeLists, EscapesAsAmandaDoes) {
  struct {
    const char *pattern, *line;
  } cases[] = {{"*.o", "*.o"},
               {"a\\*b", "a\\\\*b"},
               {"with blank *", "with blank *"},
               {"q\"t", "q\\\"t"},
               {"new\nline", "new\\nline"},
               {"\303\244", "\303\244"},
               {"", ""}};
  for (const auto& c : cases) EXPECT_EQ(escape_pattern(c.pattern), c.line);
}

TEST_F(SelectionLists, ExcludeTakesFilesThenListsInOrder) {
  put("list1", "one\n\ntwo words\n");
  put("list2", "last without newline");
  wire::Selection exclude;
  exclude.files = {"*.o", "a\\b"};
  exclude.lists = {"list1", (directory_ / "list2").native()};
  auto file = exclude_patterns(exclude, directory_);
  EXPECT_EQ(file.text, "*.o\na\\\\b\none\ntwo words\nlast without newline\n");
  EXPECT_EQ(file.patterns, 5U);
  EXPECT_TRUE(file.complaints.empty());
}

TEST_F(SelectionLists, AMissingListIsToldUnlessOptional) {
  wire::Selection exclude;
  exclude.files = {"x"};
  exclude.lists = {".nosuch"};
  auto file = exclude_patterns(exclude, directory_);
  EXPECT_EQ(file.text, "x\n");
  ASSERT_EQ(file.complaints.size(), 1U);
  EXPECT_NE(file.complaints[0].find(".nosuch"), std::string::npos);
  EXPECT_NE(file.complaints[0].find("No such file"), std::string::npos);
  exclude.optional = true;
  EXPECT_TRUE(exclude_patterns(exclude, directory_).complaints.empty());
  // Optional is about absence; what is there must be readable.
  exclude.lists = {"d"};
  EXPECT_EQ(exclude_patterns(exclude, directory_).complaints.size(), 1U);
}

TEST_F(SelectionLists, IncludeExpandsInTheDirectory) {
  put("list", "./d/*\n");
  wire::Selection include;
  include.files = {"./a?", "./with*", "./back*"};
  include.lists = {"list"};
  auto file = include_names(include, directory_, false);
  EXPECT_EQ(file.text, "./a1\n./a2\n./with blank\n./back\\\\slash\n./d/x\n./d/y\n");
  EXPECT_EQ(file.patterns, 6U);
  EXPECT_TRUE(file.complaints.empty());
}

TEST_F(SelectionLists, IncludeTellsWhatIsWrong) {
  wire::Selection include;
  include.files = {"a1", "./", "./zz*", "./d/zz*"};
  auto file = include_names(include, directory_, false);
  EXPECT_EQ(file.patterns, 0U);
  ASSERT_EQ(file.complaints.size(), 4U);
  EXPECT_EQ(file.complaints[0], "include must start with './' when doing a non-optional include: a1");
  include.optional = true;
  EXPECT_TRUE(include_names(include, directory_, false).complaints.empty());
}

TEST_F(SelectionLists, ATarWithMoreRightsGetsDeepPatternsAsTheyAre) {
  wire::Selection include;
  include.files = {"./zz*", "./d/zz*"};
  auto file = include_names(include, directory_, true);
  EXPECT_EQ(file.text, "./d/zz*\n");
  EXPECT_EQ(file.complaints.size(), 1U);
}

}  // namespace
}  // namespace headrace::compat
