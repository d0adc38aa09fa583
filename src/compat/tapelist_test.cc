#include "compat/tapelist.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "base/file.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

std::string sample(const std::string& name) {
  auto text = base::read_file(fs::path(HEADRACE_TEST_DATA) / "compat" / name);
  EXPECT_TRUE(text.has_value()) << name;
  return text.value_or("");
}

class TapelistFile : public ::testing::Test {
 protected:
  TapelistFile() {
    char name[] = "/tmp/headrace-tapelist-XXXXXX";
    directory = ::mkdtemp(name);
  }
  ~TapelistFile() override { fs::remove_all(directory); }
  fs::path directory;
};

TEST(Tapelist, RealFileComesBackAsItWas) {
  const std::string text = sample("tapelist");
  const auto list = Tapelist::parse(text, "tapelist");
  ASSERT_TRUE(list) << list.error().what();
  EXPECT_EQ(list->entries().size(), 7U);
  EXPECT_EQ(list->text(), text);
  const TapelistEntry* entry = list->find("OFF-01");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->timestamp, "20261123010234");
  EXPECT_EQ(entry->pool, "offsite");
  EXPECT_EQ(entry->storage, "off");
  EXPECT_EQ(entry->blocksize_kib, 32);
  EXPECT_FALSE(list->find("T1-020")->used());
}

TEST(Tapelist, EveryFieldAndOldShortLines) {
  const auto list = Tapelist::parse(
      "20100101 A\n"
      "20110101 B no-reuse BARCODE:b1 META:m1 BLOCKSIZE:64 POOL:p STORAGE:s CONFIG:c #a comment of words\n",
      "t");
  ASSERT_TRUE(list) << list.error().what();
  ASSERT_EQ(list->entries().size(), 2U);
  const TapelistEntry& b = list->entries()[0];
  EXPECT_EQ(b.label, "B");
  EXPECT_FALSE(b.reuse);
  EXPECT_EQ(b.barcode, "b1");
  EXPECT_EQ(b.meta, "m1");
  EXPECT_EQ(b.comment, "a comment of words");
  EXPECT_TRUE(list->entries()[1].reuse);
  EXPECT_EQ(*Tapelist::parse(list->text(), "t")->find("B"), b);
}

TEST(Tapelist, MistakesAreNamedByFileAndLine) {
  const struct {
    const char* text;
    const char* where;
  } cases[] = {
      {"20100101 A reuse\n20100101 A reuse\n", "volume A"},
      {"20100101 A reuse\nnever B reuse\n", "list:2: "},
      {"20100101\n", "list:1: "},
      {"20100101 A reuse BLOCKSIZE:x\n", "list:1: "},
      {"20100101 A reuse POOL:p BARCODE:late\n", "list:1: unexpected \"BARCODE:late\""},
      {"20100101 A reuse bogus\n", "list:1: unexpected \"bogus\""},
  };
  for (const auto& c : cases) {
    const auto list = Tapelist::parse(c.text, "list");
    ASSERT_FALSE(list) << c.text;
    EXPECT_EQ(list.error().kind(), base::ErrorKind::corrupt);
    EXPECT_NE(list.error().what().find(c.where), std::string::npos) << list.error().what();
  }
}

TEST(Tapelist, KeepsNewestFirstAndEqualsInOrderOfInsertion) {
  Tapelist list;
  for (const auto& [stamp, label] :
       {std::pair{"0", "N1"}, {"20260102", "A"}, {"20260103", "B"}, {"20260102", "C"}, {"0", "N2"}}) {
    TapelistEntry entry;
    entry.timestamp = stamp;
    entry.label = label;
    ASSERT_TRUE(list.add(entry));
  }
  EXPECT_EQ(list.text(), "20260103 B reuse\n20260102 A reuse\n20260102 C reuse\n0 N1 reuse\n0 N2 reuse\n");
  TapelistEntry again = *list.find("N1");
  EXPECT_FALSE(list.add(again)) << "a label is unique";
  again.timestamp = "20260104";
  ASSERT_TRUE(list.put(again));
  EXPECT_EQ(list.entries().front().label, "N1");
  EXPECT_EQ(list.entries().size(), 5U);
  EXPECT_TRUE(list.remove("C"));
  EXPECT_FALSE(list.remove("C"));
}

TEST(Tapelist, RefusesWhatTheFileCannotHold) {
  Tapelist list;
  TapelistEntry entry;
  entry.label = "two words";
  EXPECT_FALSE(list.add(entry));
  entry.label = "#hash";
  EXPECT_FALSE(list.add(entry));
  entry.label = "A";
  entry.pool = "a pool";
  EXPECT_FALSE(list.add(entry));
  entry.pool = "";
  entry.timestamp = "X";
  EXPECT_FALSE(list.put(entry));
  EXPECT_TRUE(list.entries().empty());
}

TEST_F(TapelistFile, UpdateWritesUnderLockAndLeavesTheMark) {
  const fs::path file = directory / "tapelist";
  ASSERT_TRUE(load_tapelist(file)->entries().empty()) << "no file: an empty list";
  const auto written = update_tapelist(file, [](Tapelist& list) {
    TapelistEntry entry;
    entry.label = "V-1";
    return list.add(entry);
  });
  ASSERT_TRUE(written) << written.error().what();
  EXPECT_EQ(base::read_file(file).value(), "0 V-1 reuse\n");
  EXPECT_EQ(fs::read_symlink(directory / "tapelist.last_write").string(), std::to_string(::getpid()));
  EXPECT_TRUE(fs::exists(directory / "tapelist.lock"));
  EXPECT_FALSE(fs::exists(directory / "tapelist.new"));

  const auto refused = update_tapelist(file, [](Tapelist& list) -> base::Result<> {
    list.remove("V-1");
    return base::fail(base::ErrorKind::refused, "no");
  });
  EXPECT_FALSE(refused);
  EXPECT_EQ(base::read_file(file).value(), "0 V-1 reuse\n") << "a change that fails writes nothing";
}

// Storages of one run load volumes on threads of their own; the lock on the file does not exclude these.
TEST_F(TapelistFile, ThreadsOfOneProcessLoseNothing) {
  const fs::path file = directory / "tapelist";
  constexpr int kEach = 20;
  const auto enter = [&file](const char* name) {
    for (int i = 0; i < kEach; ++i) {
      const auto written = update_tapelist(file, [&](Tapelist& list) {
        TapelistEntry entry;
        entry.label = name + std::to_string(i);
        return list.add(entry);
      });
      EXPECT_TRUE(written) << written.error().what();
    }
  };
  std::thread other(enter, "A-");
  enter("B-");
  other.join();
  EXPECT_EQ(load_tapelist(file)->entries().size(), 2U * kEach);
}

}  // namespace
}  // namespace headrace::compat
