#include "server/catalog/log_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"

namespace headrace::catalog {
namespace {

class LogMemoryTest : public ::testing::Test {
 protected:
  LogMemoryTest() {
    char name[] = "/tmp/headrace-log-memory-XXXXXX";
    directory_ = ::mkdtemp(name);
    file_ = directory_ / "log.20260101000000.0";
  }
  ~LogMemoryTest() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& host) {
    ASSERT_TRUE(base::replace_file(file_, "FAIL dumper " + host + " /d 20260101000000 0 [r]\n", 0600));
  }
  std::string host() {
    const auto log = memory_.load(file_);
    if (!log) return log.error().what();
    return std::get<compat::FailLine>((*log)->lines.at(0).line).host;
  }
  std::filesystem::path directory_, file_;
  LogMemory memory_;
};

TEST_F(LogMemoryTest, ReadsAFileOnceAsLongAsItStaysAsItWas) {
  write("a");
  EXPECT_EQ(host(), "a");
  EXPECT_EQ(host(), "a");
  EXPECT_EQ(memory_.files_read(), 1U);
}

TEST_F(LogMemoryTest, SeesWhatWasAppended) {
  write("a");
  EXPECT_EQ(host(), "a");
  ASSERT_TRUE(base::append_locked(file_, "FAIL dumper b /d 20260101000000 0 [r]\n"));
  const auto log = memory_.load(file_);
  ASSERT_TRUE(log);
  EXPECT_EQ((*log)->lines.size(), 2U);
}

TEST_F(LogMemoryTest, SeesAnotherFileOfTheSameSizeAndTime) {
  write("a");
  EXPECT_EQ(host(), "a");
  struct stat before{};
  ASSERT_EQ(::stat(file_.c_str(), &before), 0);
  write("b");
  const timespec times[] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, file_.c_str(), times, 0), 0);
  EXPECT_EQ(host(), "b");
}

TEST_F(LogMemoryTest, AFileThatIsGoneIsAnError) {
  write("a");
  EXPECT_EQ(host(), "a");
  std::filesystem::remove(file_);
  EXPECT_FALSE(memory_.load(file_));
}

}  // namespace
}  // namespace headrace::catalog
