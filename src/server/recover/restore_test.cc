#include "server/recover/restore.h"

#include <gtest/gtest.h>

#include "server/recover/test_support.h"

namespace headrace::recover {
namespace {

class RestoreTest : public RestoreFixture {
 protected:
  RestoreTest() : RestoreFixture(HEADRACE_TEST_DATA) {}
};

TEST_F(RestoreTest, RealChainFromVolumeAndHoldingDisk) {
  const auto result = restore(chain(kHost, kDisk));
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_EQ(result->images, 2U);
  EXPECT_EQ(result->stored_bytes, 20480U);
  EXPECT_TRUE(result->all_checked);
  EXPECT_EQ(recorder.checked_images, 2);
  EXPECT_EQ(recorder.last_moved, 20480U);
  ASSERT_EQ(recorder.places.size(), 2U);
  EXPECT_EQ(recorder.places[0], "file 2 of volume VTAPE-001");
  EXPECT_TRUE(recorder.places[1].ends_with("client.lab._tmp_lab_med_data1.1"));
  EXPECT_TRUE(recorder.messages.empty()) << recorder.messages.front();
  EXPECT_EQ(output_of("diff -r " + (root / "data1").string() + " " + out.string()), "");
  struct stat info{};
  ASSERT_EQ(::stat((out / "f2.txt").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0644U);
  EXPECT_EQ(info.st_mtime, 1795397519) << "as the archive has it";
}

TEST_F(RestoreTest, AtAnEarlierTime) {
  ASSERT_TRUE(restore(chain(kHost, kDisk, "20261123013200")));
  EXPECT_EQ(content(out / "f1.txt"), "file 1\n");
  EXPECT_FALSE(fs::exists(out / "new.txt"));
}

TEST_F(RestoreTest, OnlySomePathsEachFromItsDump) {
  const auto result = restore(chain(kHost, kDisk), {"/f1.txt", "./sub/", "f2.txt"});
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_EQ(content(out / "f1.txt"), "file 1\nmore\n");
  EXPECT_EQ(content(out / "f2.txt"), "file 2\n");
  EXPECT_EQ(content(out / "sub/x"), "hi\n");
  EXPECT_FALSE(fs::exists(out / "f3.txt"));
  EXPECT_FALSE(fs::exists(out / "new.txt"));
}

TEST_F(RestoreTest, AFileOfOneDumpReadsOnlyThatDump) {
  ASSERT_TRUE(restore(chain(kHost, kDisk), {"new.txt"}));
  EXPECT_EQ(recorder.places.size(), 1U);
  EXPECT_EQ(content(out / "new.txt"), "new\n");
}

TEST_F(RestoreTest, PathsThatAreNotThere) {
  const auto unknown = restore(chain(kHost, kDisk), {"f1.txt", "nosuch"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().what(),
            "/nosuch was not there when client.lab:/tmp/lab/med/data1 of 20261123013208 level 1 was made; no "
            "dump of "
            "this chain has it");
  EXPECT_TRUE(fs::is_empty(out)) << "nothing is restored before every path is found";
  EXPECT_FALSE(restore(chain(kHost, kDisk), {"../etc/passwd"}));
}

TEST_F(RestoreTest, WithoutIndexTheArchivesAreAsked) {
  fs::remove_all(root / "index");
  const auto result = restore(chain(kHost, kDisk), {"new.txt", "sub"});
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_EQ(content(out / "new.txt"), "new\n");
  EXPECT_EQ(content(out / "sub/x"), "hi\n");
  const auto unknown = restore(chain(kHost, kDisk), {"nosuch", "sub"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().what(), "./nosuch is in none of the 2 dumps that were read");
}

TEST_F(RestoreTest, ToADescriptor) {
  const base::Fd file(::open((root / "archive").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const auto result = run({.images = {*load().newest(kHost, kDisk, "", 1)}, .to_descriptor = file.get()});
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_EQ(content(root / "archive"),
            content(root / "holding/20261123013208/client.lab._tmp_lab_med_data1.1").substr(kHeader));
}

TEST_F(RestoreTest, PartsOverTwoVolumesAndCompressed) {
  const std::string native = archive();
  make({.disk = "/t",
        .stored = gzipped(native),
        .native = native,
        .suffix = ".gz",
        .part_bytes = 20000,
        .slots = {{2, "VTAPE-002"}, {3, "VTAPE-003"}}});
  const auto images = chain(kHost, "/t");
  ASSERT_EQ(images.front().parts.size(), 4U) << "the test's data should fill four parts";
  const auto result = restore(images);
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_EQ(result->native_bytes, native.size());
  EXPECT_EQ(recorder.places.back(), "file 2 of volume VTAPE-003");
  expect_tree();
}

// A full and an incremental before which a file and a directory went away.
class DeletionTest : public RestoreTest {
 protected:
  void SetUp() override {
    RestoreTest::SetUp();
    put(root / "tree/gone/a", "a");
    dump("20261124010000", 0, 2);
    fs::remove_all(root / "tree/gone");
    fs::remove(root / "tree/d0/f0");
    put(root / "tree/d0/fresh", "fresh");
    dump("20261124020000", 1, 3);
  }
  void dump(const std::string& stamp, int level, int slot) {
    const std::string native = level == 0 ? archive() : incremental();
    make({.disk = "/t",
          .stored = native,
          .native = native,
          .suffix = "",
          .part_bytes = 400000,
          .slots = {{slot, "VTAPE-00" + std::to_string(slot)}},
          .stamp = stamp,
          .level = level});
    auto index = compat::IndexWriter::open({.indexdir = config.globals.indexdir,
                                            .host = kHost,
                                            .disk = "/t",
                                            .timestamp = stamp,
                                            .level = level},
                                           {});
    ASSERT_TRUE(index) << index.error().what();
    put(root / "archive", native);
    const std::string names = output_of("tar -tf " + (root / "archive").string() + " | sed 's/^[.]//'");
    ASSERT_TRUE((*index)->add(base::as_bytes(names)));
    ASSERT_TRUE((*index)->finish());
  }
  std::string incremental() {
    return output_of("tar -C " + (root / "tree").string() +
                     " --listed-incremental=" + (root / "snapshot").string() + " -cf - .");
  }
};

TEST_F(DeletionTest, WholeDiskIsAsItWas) {
  ASSERT_TRUE(restore(chain(kHost, "/t")));
  expect_tree();
  EXPECT_FALSE(fs::exists(out / "gone"));
}

TEST_F(DeletionTest, ADirectoryIsAsItWas) {
  ASSERT_TRUE(restore(chain(kHost, "/t"), {"d0"}));
  EXPECT_EQ(output_of("diff -r " + (root / "tree/d0").string() + " " + (out / "d0").string()), "");
  EXPECT_FALSE(fs::exists(out / "d1"));
}

TEST_F(DeletionTest, WhatIsGoneIsNotGivenBackAndItIsSaidWhenItWasThere) {
  for (const char* path : {"gone", "gone/a"}) {
    const auto result = restore(chain(kHost, "/t"), {path});
    ASSERT_FALSE(result) << path;
    EXPECT_NE(result.error().what().find("it was last there in the dump of 20261124010000"),
              std::string::npos)
        << result.error().what();
  }
  ASSERT_TRUE(restore(chain(kHost, "/t", "20261124010000"), {"gone/a"}));
  EXPECT_EQ(content(out / "gone/a"), "a");
}

TEST_F(RestoreTest, WithoutAnyChecksumItSaysSo) {
  const std::string native = archive();
  make({.disk = "/t",
        .stored = native,
        .native = native,
        .suffix = "",
        .part_bytes = 200000,
        .slots = {{2, "VTAPE-002"}, {3, "VTAPE-003"}},
        .with_crcs = false});
  const auto result = restore(chain(kHost, "/t"));
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_FALSE(result->all_checked);
  EXPECT_EQ(recorder.checked_images, 0);
  expect_tree();
}

TEST_F(RestoreTest, ArchiverThatFails) {
  const auto images = chain(kHost, kDisk);
  put(out / "sub", "a file where a directory should go");
  ::chmod(out.c_str(), 0700);
  const auto result = run({.images = images, .indexdir = {}, .to = root / "no/such/directory"});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().what().find("\"tar "), std::string::npos) << result.error().what();
  EXPECT_NE(result.error().what().find("exited with code 2"), std::string::npos) << result.error().what();
}

TEST_F(RestoreTest, OtherArchiversOnlyAsTheyAre) {
  make({.disk = "/t",
        .stored = "0123456789",
        .native = "0123456789",
        .suffix = "",
        .part_bytes = 5,
        .slots = {{2, "VTAPE-002"}},
        .program = "/sbin/dump"});
  const auto result = restore(chain(kHost, "/t"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), base::ErrorKind::unsupported);
  const base::Fd file(::open((root / "raw").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ASSERT_TRUE(run({.images = chain(kHost, "/t"), .to_descriptor = file.get()}));
  EXPECT_EQ(content(root / "raw"), "0123456789");
}

TEST_F(RestoreTest, StoppedInTheMiddle) {
  const auto images = chain(kHost, kDisk);
  ASSERT_TRUE(check_target(out, false));
  auto loop = loop::make_loop(2);
  {
    Restore restore(*loop, config, {.images = images, .indexdir = {}, .to = out}, recorder);
    restore.start([](base::Result<RestoreSummary>) { FAIL() << "it was given up"; });
  }
  const auto guard = loop->after(std::chrono::milliseconds(20), [&] { loop->stop(); });
  loop->run();
}

TEST_F(RestoreTest, TargetMustBeEmptyUnlessSaid) {
  EXPECT_TRUE(check_target(out, false));
  put(out / "mine", "x");
  EXPECT_FALSE(check_target(out, false));
  EXPECT_TRUE(check_target(out, true));
}

}  // namespace
}  // namespace headrace::recover
