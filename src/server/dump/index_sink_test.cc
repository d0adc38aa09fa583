#include "server/dump/index_sink.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/file.h"
#include "loop/test_loop.h"

namespace headrace::dump {
namespace {

namespace fs = std::filesystem;
using base::Result;

class IndexSinkTest : public ::testing::Test {
 protected:
  IndexSinkTest() {
    char name[] = "/tmp/headrace-sink-XXXXXX";
    directory = ::mkdtemp(name);
    key = {directory, "h", "/d", "20261123013159", 0};
  }
  ~IndexSinkTest() override {
    sink.reset();
    fence();
    fs::remove_all(directory);
  }
  void make(IndexPart part) {
    sink = std::make_unique<IndexSink>(*loop, lane, key, compat::IndexForm{false, false}, part);
  }
  void write(std::string text) {
    held = std::move(text);
    const iovec piece{held.data(), held.size()};
    ASSERT_EQ(sink->stream().write({&piece, 1}).state, loop::IoState::wait);
    sink->stream().await_writable([this] { loop->stop(); });
    loop->run();
    ASSERT_EQ(sink->stream().write({&piece, 1}).bytes, held.size());
  }
  Result<> outcome_of(std::move_only_function<void(std::move_only_function<void(Result<>)>)> call) {
    Result<> got = base::fail(base::ErrorKind::gone, "never told");
    call([&](Result<> outcome) {
      got = std::move(outcome);
      loop->stop();
    });
    loop->run();
    return got;
  }
  Result<> finish() {
    return outcome_of([this](auto done) { sink->stream().finish(std::move(done)); });
  }
  Result<> keep() {
    return outcome_of([this](auto done) { sink->keep(std::move(done)); });
  }
  // Behind all that the lane still has to do.
  void fence() {
    loop->offload(lane, [] {}, [this] { loop->stop(); });
    loop->run();
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (!entry.is_directory()) names.push_back(entry.path().filename());
    }
    return names;
  }

  std::unique_ptr<loop::Loop> loop = loop::make_loop(3);
  std::unique_ptr<loop::Timer> deadline = loop::end_test_after_deadline(*loop);
  uint64_t lane = loop->new_lane();
  fs::path directory;
  compat::IndexKey key;
  std::unique_ptr<IndexSink> sink;
  std::string held;
};

TEST_F(IndexSinkTest, ANameWithoutEndIsNoIndex) {
  make(IndexPart::index);
  write("/\n/" + std::string(kMaxIndexNameBytes - 1, 'n'));
  write("\n/fine\n/" + std::string(40'000, 'n'));
  held = std::string(40'000, 'n');
  const iovec piece{held.data(), held.size()};
  ASSERT_EQ(sink->stream().write({&piece, 1}).state, loop::IoState::wait);
  sink->stream().await_writable([this] { loop->stop(); });
  loop->run();
  ASSERT_EQ(sink->stream().write({&piece, 1}).state, loop::IoState::failed);
  EXPECT_EQ(sink->stream().error().what(), "a name of more than 65536 bytes");
  sink.reset();
  fence();
  EXPECT_TRUE(files().empty());
}

TEST_F(IndexSinkTest, GetsItsNameWhenKept) {
  make(IndexPart::index);
  write("/\n/a\n");
  ASSERT_TRUE(finish());
  EXPECT_EQ(files(), std::vector<std::string>{"20261123013159_0-unsorted.tmp"});
  ASSERT_TRUE(keep());
  sink.reset();
  fence();
  EXPECT_EQ(files(), std::vector<std::string>{"20261123013159_0-unsorted"});
}

TEST_F(IndexSinkTest, IsRemovedWhenNotKept) {
  for (const bool finished : {false, true}) {
    make(IndexPart::index);
    write("/\n/a\n");
    if (finished) ASSERT_TRUE(finish());
    sink.reset();
    fence();
    EXPECT_TRUE(files().empty());
  }
}

TEST_F(IndexSinkTest, AnEmptyIndexIsAnIndexAnEmptyStateIsNone) {
  for (const auto part : {IndexPart::index, IndexPart::state}) {
    make(part);
    ASSERT_TRUE(finish());
    ASSERT_TRUE(keep());
    EXPECT_EQ(files().size(), 1U);
  }
}

TEST_F(IndexSinkTest, ADirectoryThatCannotBeMadeIsAnError) {
  ASSERT_TRUE(base::replace_file(directory / "h", "a file", 0600));
  make(IndexPart::index);
  held = "/\n";
  const iovec piece{held.data(), held.size()};
  ASSERT_EQ(sink->stream().write({&piece, 1}).state, loop::IoState::wait);
  sink->stream().await_writable([this] { loop->stop(); });
  loop->run();
  EXPECT_EQ(sink->stream().write({&piece, 1}).state, loop::IoState::failed);
  EXPECT_NE(sink->stream().error().what().find(directory.native()), std::string::npos);
}

// The first one's removal and the second one's file have one name: they must not meet.
TEST_F(IndexSinkTest, TheNextTryFindsItsNameFree) {
  for (int i = 0; i < 20; ++i) {
    make(IndexPart::index);
    write("/\n/first\n");
    sink.reset();
    make(IndexPart::index);
    write("/\n/second\n");
    ASSERT_TRUE(finish());
    ASSERT_TRUE(keep());
    sink.reset();
    fence();
    EXPECT_EQ(base::read_file(directory / "h/_d/20261123013159_0-unsorted").value_or(""), "/\n/second\n");
  }
}

}  // namespace
}  // namespace headrace::dump
