#include "compat/amandates.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>
#include <vector>

#include "base/file.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

class AmandatesFile : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("amandates" + std::to_string(::getpid()));
    fs::create_directories(directory_);
    file_ = directory_ / "amandates";
  }
  void TearDown() override { fs::remove_all(directory_); }
  std::string content() { return base::read_file(file_).value_or("unreadable"); }

  fs::path directory_;
  fs::path file_;
};

TEST(Amandates, ReadsAndWritesLines) {
  auto dates = Amandates::parse("/z 1 200\n/a 0 100\n\"/with blank\" 0 300\n");
  EXPECT_EQ(dates.date_of("/with blank", 0), 300);
  EXPECT_EQ(dates.date_of("/a", 1), 0);
  EXPECT_EQ(dates.date_of("/nosuch", 0), 0);
  EXPECT_EQ(dates.text(), "/a 0 100\n\"/with blank\" 0 300\n/z 1 200\n");
}

TEST(Amandates, DropsLinesThatMeanNothing) {
  auto dates = Amandates::parse("/a\n/a 0\n/a x 5\n/a 0 x\n/a -1 5\n/a 400 5\n/a 0 5 6\n\n/b 399 7");
  EXPECT_EQ(dates.text(), "/b 399 7\n");
}

TEST(Amandates, ADateNeverGoesBack) {
  Amandates dates;
  dates.note("/a", 0, 100);
  dates.note("/a", 0, 50);
  EXPECT_EQ(dates.date_of("/a", 0), 100);
  dates.note("/a", 0, 150);
  EXPECT_EQ(dates.date_of("/a", 0), 150);
}

TEST_F(AmandatesFile, IsCreatedAndRewrittenInPlace) {
  ASSERT_TRUE(record_dump_date(file_, {"/b", 0, 100}).has_value());
  ASSERT_TRUE(record_dump_date(file_, {"/a \"x\"", 1, 200}).has_value());
  EXPECT_EQ(content(), "\"/a \\\"x\\\"\" 1 200\n/b 0 100\n");
  // What cannot be read is dropped, and the file shrinks accordingly.
  ASSERT_TRUE(
      base::replace_file(file_, "/b 0 100\nrubbish that is longer than any line\n", 0644).has_value());
  ASSERT_TRUE(record_dump_date(file_, {"/b", 0, 300}).has_value());
  EXPECT_EQ(content(), "/b 0 300\n");
}

TEST_F(AmandatesFile, ManyWritersLoseNothing) {
  constexpr int kWriters = 8;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([this, i] {
      EXPECT_TRUE(record_dump_date(file_, {"/disk" + std::to_string(i), 0, 100 + i}).has_value());
    });
  }
  for (auto& thread : threads) thread.join();
  auto dates = Amandates::parse(content());
  for (int i = 0; i < kWriters; ++i) EXPECT_EQ(dates.date_of("/disk" + std::to_string(i), 0), 100 + i);
}

TEST_F(AmandatesFile, SaysWhatIsWrongWithTheFile) {
  auto recorded = record_dump_date(directory_ / "nosuch" / "amandates", {"/a", 0, 1});
  ASSERT_FALSE(recorded.has_value());
  EXPECT_NE(recorded.error().what().find("nosuch/amandates"), std::string::npos);
}

}  // namespace
}  // namespace headrace::compat
