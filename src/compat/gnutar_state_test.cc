#include "compat/gnutar_state.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "base/file.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

class GnutarStateFiles : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("gnutar_state" + std::to_string(::getpid()));
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }
  GnutarState state() { return GnutarState(directory_, "client.lab", "/tmp/data1"); }
  void put(const std::string& name, std::string_view text) {
    ASSERT_TRUE(base::replace_file(directory_ / name, text, 0600).has_value());
  }
  std::string get(const std::string& name) { return base::read_file(directory_ / name).value_or("(none)"); }
  std::set<std::string> names() {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(directory_)) out.insert(entry.path().filename());
    return out;
  }

  fs::path directory_;
};

TEST(GnutarState, NamesFilesAsAmandaDoes) {
  struct {
    const char *host, *disk;
    int level;
    const char* name;
  } cases[] = {
      {"client.lab", "/tmp/wplab/data1", 0, "client.lab_tmp_wplab_data1_0"},
      {"client.lab", "my \"disk\" ä\\:", 12, "client.labmy \"disk\" ä___12"},
      {"h", "/", 1, "h__1"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(GnutarState("/lists", c.host, c.disk).path_of(c.level), fs::path("/lists") / c.name);
  }
}

TEST(GnutarState, RefusesHostsThatLeaveTheDirectory) {
  EXPECT_TRUE(GnutarState::check_host("client.lab").has_value());
  EXPECT_TRUE(GnutarState::check_host("..").has_value());  // "..disk_0" is a plain name
  EXPECT_FALSE(GnutarState::check_host("../../etc/x").has_value());
  EXPECT_FALSE(GnutarState::check_host("").has_value());
  EXPECT_FALSE(GnutarState::check_host(std::string_view("a\0b", 3)).has_value());
}

TEST_F(GnutarStateFiles, LevelZeroBeginsEmptyWhateverIsThere) {
  put("client.lab_tmp_data1_0", "old full");
  put("client.lab_tmp_data1_0.new", "left over from a dump that failed");
  auto snapshot = state().prepare_dump(0);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->base_level(), -1);
  EXPECT_EQ(snapshot->path(), directory_ / "client.lab_tmp_data1_0.new");
  EXPECT_EQ(get("client.lab_tmp_data1_0.new"), "");
  EXPECT_EQ(get("client.lab_tmp_data1_0"), "old full");
}

TEST_F(GnutarStateFiles, ALevelBeginsFromTheNewestLowerOne) {
  put("client.lab_tmp_data1_0", "full");
  put("client.lab_tmp_data1_1", "one");
  put("client.lab_tmp_data1_3", "three");
  struct {
    int level, base;
    const char* text;
  } cases[] = {{1, 0, "full"}, {2, 1, "one"}, {3, 1, "one"}, {4, 3, "three"}, {9, 3, "three"}};
  for (const auto& c : cases) {
    auto snapshot = state().prepare_dump(c.level);
    ASSERT_TRUE(snapshot.has_value());
    EXPECT_EQ(snapshot->base_level(), c.base);
    EXPECT_EQ(base::read_file(snapshot->path()).value(), c.text);
    struct stat st{};
    ASSERT_EQ(::stat(snapshot->path().c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777U, 0600U);
  }
}

TEST_F(GnutarStateFiles, WithoutAnyLowerLevelTheCopyIsEmpty) {
  auto snapshot = state().prepare_dump(2);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->base_level(), -1);
  EXPECT_EQ(get("client.lab_tmp_data1_2.new"), "");
}

TEST_F(GnutarStateFiles, OnlyPromotingReplacesTheLevel) {
  put("client.lab_tmp_data1_0", "yesterday");
  {
    auto failed = state().prepare_dump(0);
    ASSERT_TRUE(failed.has_value());
    put("client.lab_tmp_data1_0.new", "half");
  }
  EXPECT_EQ(get("client.lab_tmp_data1_0"), "yesterday");
  auto snapshot = state().prepare_dump(0);
  ASSERT_TRUE(snapshot.has_value());
  put("client.lab_tmp_data1_0.new", "today");
  ASSERT_TRUE(state().promote(*snapshot, 0).has_value());
  EXPECT_EQ(get("client.lab_tmp_data1_0"), "today");
  EXPECT_EQ(names(), (std::set<std::string>{"client.lab_tmp_data1_0"}));
}

TEST_F(GnutarStateFiles, TwoDumpsOfALevelExcludeEachOther) {
  auto first = state().prepare_dump(1);
  ASSERT_TRUE(first.has_value());
  auto second = state().prepare_dump(1);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind(), base::ErrorKind::again);
  EXPECT_TRUE(state().prepare_dump(2).has_value());
  ASSERT_TRUE(state().promote(*first, 1).has_value());
  // The lock went with the file's new name; the old name is free.
  EXPECT_TRUE(state().prepare_dump(1).has_value());
}

TEST_F(GnutarStateFiles, EstimatesMeetNeitherDumpsNorEachOther) {
  put("client.lab_tmp_data1_0", "full");
  auto dump = state().prepare_dump(1);
  auto one = state().prepare_estimate(1);
  auto two = state().prepare_estimate(1);
  ASSERT_TRUE(dump && one && two);
  EXPECT_EQ((std::set<fs::path>{dump->path(), one->path(), two->path()}).size(), 3U);
  EXPECT_EQ(base::read_file(two->path()).value(), "full");
  ASSERT_TRUE(GnutarState::discard(*one).has_value());
  ASSERT_TRUE(GnutarState::discard(*two).has_value());
  EXPECT_EQ(names(), (std::set<std::string>{"client.lab_tmp_data1_0", "client.lab_tmp_data1_1.new"}));
}

TEST_F(GnutarStateFiles, SaysWhatCannotBeUsed) {
  auto missing = GnutarState(directory_ / "nosuch", "h", "/d").prepare_dump(0);
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().what().find("nosuch/h_d_0.new"), std::string::npos) << missing.error().what();
  // A link in the place of the working file is not followed.
  fs::create_symlink("/dev/null", directory_ / "client.lab_tmp_data1_0.new");
  EXPECT_FALSE(state().prepare_dump(0).has_value());
}

}  // namespace
}  // namespace headrace::compat
