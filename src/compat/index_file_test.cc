#include "compat/index_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "compat/line_sorter.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

class IndexFile : public ::testing::Test {
 protected:
  IndexFile() {
    char name[] = "/tmp/headrace-index-XXXXXX";
    directory = ::mkdtemp(name);
    key = {.indexdir = directory, .host = "h", .disk = "/a b", .timestamp = "20261123013159", .level = 0};
  }
  ~IndexFile() override { fs::remove_all(directory); }

  std::vector<std::string> read_all() {
    std::vector<std::string> lines;
    auto reader = IndexReader::open(key);
    EXPECT_TRUE(reader && *reader);
    if (!reader || !*reader) return lines;
    for (;;) {
      auto line = (*reader)->next();
      EXPECT_TRUE(line) << line.error().what();
      if (!line || !*line) return lines;
      lines.push_back(**line);
    }
  }
  fs::path directory;
  IndexKey key;
};

TEST_F(IndexFile, FourFormsComeBack) {
  const std::string text = "/\n/sub/\n/z\n/a\\303\\251\n";
  for (const bool compress : {false, true}) {
    for (const bool sort : {false, true}) {
      const IndexForm form{.compress = compress, .sort = sort};
      auto writer = IndexWriter::open(key, form);
      ASSERT_TRUE(writer) << writer.error().what();
      for (const char& c : text) ASSERT_TRUE((*writer)->add(base::as_bytes({&c, 1})));
      const fs::path path = key.stem().string() + form.suffix();
      EXPECT_FALSE(fs::exists(path)) << "it counts only when finished";
      EXPECT_TRUE(fs::exists(path.string() + ".tmp"));
      ASSERT_TRUE((*writer)->finish());
      EXPECT_TRUE(fs::exists(path));
      EXPECT_FALSE(fs::exists(path.string() + ".tmp"));
      const std::vector<std::string> expected =
          sort ? std::vector<std::string>{"/", "/a\xc3\xa9", "/sub/", "/z"}
               : std::vector<std::string>{"/", "/sub/", "/z", "/a\xc3\xa9"};
      EXPECT_EQ(read_all(), expected) << form.suffix();
      fs::remove(path);
    }
  }
}

TEST_F(IndexFile, AbandonedLeavesNothing) {
  {
    auto writer = IndexWriter::open(key, {});
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->add(base::as_bytes("/\n")));
  }
  EXPECT_TRUE(fs::is_empty(directory / "h" / "_a b"));
  EXPECT_FALSE(IndexReader::open(key)->has_value());
}

TEST_F(IndexFile, LargeStreamIsWhole) {
  std::string text;
  for (int i = 0; i < 40000; ++i)
    text += "/dir" + std::to_string(i % 97) + "/file" + std::to_string(i) + '\n';
  auto writer = IndexWriter::open(key, {});
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->add(base::as_bytes(text)));
  ASSERT_TRUE((*writer)->finish());
  EXPECT_FALSE((*writer)->add(base::as_bytes("late"))) << "finished is finished";
  std::string again;
  for (const std::string& line : read_all()) again += line + '\n';
  EXPECT_EQ(again, text);
}

TEST_F(IndexFile, CutFileIsAnErrorNotAShortList) {
  auto writer = IndexWriter::open(key, {});
  ASSERT_TRUE(writer);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "/" + std::to_string(i * 7919) + '\n';
  ASSERT_TRUE((*writer)->add(base::as_bytes(text)));
  ASSERT_TRUE((*writer)->finish());
  const fs::path path = key.stem().string() + "-unsorted.gz";
  fs::resize_file(path, fs::file_size(path) / 2);
  auto reader = IndexReader::open(key);
  ASSERT_TRUE(reader && *reader);
  bool failed = false;
  for (int i = 0; i < 2000 && !failed; ++i) {
    const auto line = (*reader)->next();
    failed = !line;
    if (line && !*line) break;
  }
  EXPECT_TRUE(failed);
}

TEST_F(IndexFile, RealIndexes) {
  key = {.indexdir = fs::path(HEADRACE_TEST_DATA) / "compat/lab/index",
         .host = "client.lab",
         .disk = "/tmp/lab/med/data1",
         .timestamp = "20261123013208",
         .level = 1};
  EXPECT_EQ(read_all(), (std::vector<std::string>{"/", "/sub/", "/f1.txt", "/new.txt"}));
}

TEST_F(IndexFile, HeaderAndStateStandBeside) {
  ASSERT_TRUE(write_index_header(key, "AMANDA: FILE\n"));
  EXPECT_EQ(base::read_file(key.stem().string() + ".header").value(), "AMANDA: FILE\n");
  auto state = open_state_writer(key);
  ASSERT_TRUE(state);
  ASSERT_TRUE((*state)->finish());
  EXPECT_TRUE(fs::exists(key.stem().string() + ".state.gz"));
  EXPECT_FALSE(IndexReader::open(key)->has_value()) << "neither is an index";
}

TEST(LineSorter, MergesPiecesInByteOrder) {
  LineSorter sorter(fs::temp_directory_path(), 2000);
  std::vector<std::string> lines;
  for (int i = 0; i < 1000; ++i) lines.push_back("/" + std::to_string((i * 7919) % 1000) + "\x80");
  for (const std::string& line : lines) ASSERT_TRUE(sorter.add(line));
  std::vector<std::string> sorted;
  ASSERT_TRUE(sorter.drain([&](std::string_view line) -> base::Result<> {
    sorted.emplace_back(line);
    return {};
  }));
  std::ranges::sort(lines);
  EXPECT_EQ(sorted, lines);
}

TEST(TarNames, EscapesStandForBytes) {
  const struct {
    const char* name;
    const char* bytes;
  } cases[] = {{"/plain name", "/plain name"}, {"/\\303\\251", "/\xc3\xa9"}, {"/a\\\\b", "/a\\b"},
               {"/a\\nb\\tc", "/a\nb\tc"},     {"/end\\", "/end\\"},         {"/\\1", "/1"},
               {"/\\\"q\\\"", "/\"q\""}};
  for (const auto& c : cases) EXPECT_EQ(unescape_tar_name(c.name), c.bytes);
}

}  // namespace
}  // namespace headrace::compat
