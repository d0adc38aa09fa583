#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>
#include <vector>

namespace headrace::base {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "headrace-file-test-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(root_); }
  fs::path root_;
};

uid_t owner_of(const fs::path& path) {
  struct stat st{};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_uid;
}

TEST_F(FileTest, ReplacesWholeAndReadsBack) {
  ASSERT_TRUE(replace_file(root_ / "f", "one", 0600).has_value());
  ASSERT_TRUE(replace_file(root_ / "f", "two", 0600).has_value());
  EXPECT_EQ(read_file(root_ / "f").value(), "two");
  EXPECT_FALSE(fs::exists(root_ / "f.new"));
  EXPECT_EQ(read_file(root_ / "f", 2).error().kind(), ErrorKind::refused);
}

TEST_F(FileTest, ErrorsNameThePath) {
  const auto missing = read_file(root_ / "none");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().what(), "open " + (root_ / "none").native() + ": No such file or directory");
  EXPECT_FALSE(create_file(root_ / "no" / "where", 0600, true).has_value());
}

TEST_F(FileTest, AppendsInOrder) {
  ASSERT_TRUE(append_locked(root_ / "log", "a\n").has_value());
  ASSERT_TRUE(append_locked(root_ / "log", "b\n").has_value());
  EXPECT_EQ(read_file(root_ / "log").value(), "a\nb\n");
}

// Two threads that make directories below one that is not there yet: neither may see the other's before it
// has its owner. (Without privileges there is one owner only, and the test shows that nothing fails.)
TEST_F(FileTest, DirectoriesTakeTheirParentsOwnerFromManyThreads) {
  const uid_t wanted = ::geteuid() == 0 ? 34 : ::geteuid();
  ASSERT_EQ(::chown(root_.c_str(), wanted, static_cast<gid_t>(-1)), 0);
  constexpr int kRounds = 100;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int round = 0; round < kRounds; ++round) {
        const auto path = root_ / std::to_string(round) / "host" / std::to_string(thread);
        EXPECT_TRUE(make_directories(path, 0700).has_value());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& entry : fs::recursive_directory_iterator(root_)) EXPECT_EQ(owner_of(entry.path()), wanted);
}

}  // namespace
}  // namespace headrace::base
