// Restoring a dump of which there are several copies, some of them bad.
#include "server/recover/copies.h"

#include <gtest/gtest.h>

#include "server/recover/test_support.h"

namespace headrace::recover {
namespace {

using Again = Progress::Again;

// A full and an incremental of one disk, each in storages "lab" (volumes 002, 004) and "far" (003, 005).
class CopiesTest : public RestoreFixture {
 protected:
  CopiesTest() : RestoreFixture(HEADRACE_TEST_DATA) {}
  void SetUp() override {
    RestoreFixture::SetUp();
    for (const char* slot : {"slot4", "slot5"}) fs::create_directory(root / "vtapes" / slot);
    full = archive();
    put(root / "tree/d0/fresh", "fresh");
    incremental = archive_once();
    write({.disk = "/t", .stored = full, .native = full, .slots = {{2, "VTAPE-002"}}});
    write({.disk = "/t", .stored = full, .native = full, .slots = {{3, "VTAPE-003"}}, .storage = "far"});
    write({.disk = "/t",
           .stored = incremental,
           .native = incremental,
           .slots = {{4, "VTAPE-004"}},
           .stamp = "20261125010000",
           .level = 1});
    write({.disk = "/t",
           .stored = incremental,
           .native = incremental,
           .slots = {{5, "VTAPE-005"}},
           .stamp = "20261125010000",
           .level = 1,
           .storage = "far"});
  }
  // In two parts on one volume; a copy of another storage is written by a later run.
  void write(Made made) {
    made.part_bytes = made.stored.size() / 2 + 1;
    if (made.storage != "lab") made.written = made.stamp.substr(0, 8) + "120000";
    make(made);
  }
  std::string archive_once() {
    return output_of("tar -C " + (root / "tree").string() +
                     " --listed-incremental=" + (root / "snapshot").string() + " -cf - .");
  }
  // What stands in a part, exchanged for other bytes of a length no log will find wrong.
  void replace_parts(int slot, std::string archive) {
    for (const char* name : {"00001.x", "00002.x"}) {
      const fs::path part = root / "vtapes" / ("slot" + std::to_string(slot)) / name;
      const std::string header = content(part).substr(0, kHeader);
      const size_t size = fs::file_size(part) - kHeader;
      archive.resize(std::max(archive.size(), size), '\0');
      put(part, header + archive.substr(0, size));
      archive.erase(0, size);
    }
  }
  RestoreRequest request(const std::string& preferred = "") {
    RestoreRequest request{.images = chain(kHost, "/t"),
                           .preferred_storage = preferred,
                           .indexdir = config.globals.indexdir,
                           .to = out};
    const catalog::Catalog catalog = load();
    for (const catalog::Image& image : request.images) request.copies.push_back(catalog.copies_of(image));
    return request;
  }
  base::Result<RestoreSummary> restore_all(const std::string& preferred = "") {
    EXPECT_TRUE(check_target(out, true));
    return run(request(preferred));
  }
  void expect_restored(size_t unusable) {
    const auto result = restore_all();
    ASSERT_TRUE(result) << result.error().what();
    EXPECT_EQ(result->images, 2U);
    EXPECT_EQ(result->stored_bytes, full.size() + incremental.size());
    EXPECT_TRUE(result->all_checked);
    EXPECT_EQ(result->unusable_copies, unusable);
    EXPECT_EQ(recorder.changes.size(), unusable);
    expect_tree();
  }
  void expect_change(const Recorder::Change& change, const std::string& why, Again again) {
    EXPECT_EQ(change.from, "lab");
    EXPECT_EQ(change.to, "far");
    EXPECT_NE(change.why.find(why), std::string::npos) << change.why;
    EXPECT_EQ(change.again, again);
  }
  std::string full, incremental;
};

TEST_F(CopiesTest, TheFirstStorageIsReadWhenAllIsWell) {
  expect_restored(0);
  EXPECT_EQ(recorder.places.front(), "file 1 of volume VTAPE-002");
  EXPECT_EQ(recorder.places.back(), "file 2 of volume VTAPE-004");
}

TEST_F(CopiesTest, OrTheOneThatIsPreferred) {
  ASSERT_TRUE(restore_all("far"));
  EXPECT_EQ(recorder.places.front(), "file 1 of volume VTAPE-003");
  EXPECT_TRUE(recorder.changes.empty());
  expect_tree();
}

TEST_F(CopiesTest, AVolumeThatIsNotThere) {
  fs::remove_all(root / "vtapes/slot2");
  expect_restored(1);
  expect_change(recorder.changes[0], "volume VTAPE-002 is in no slot", Again::nothing);
  EXPECT_EQ(recorder.places.front(), "file 1 of volume VTAPE-003");
  EXPECT_EQ(recorder.places.back(), "file 2 of volume VTAPE-004") << "each dump from its best copy";
}

TEST_F(CopiesTest, AMissingCopyThatNobodyWouldHaveReadIsNotSpokenOf) {
  fs::remove_all(root / "vtapes/slot3");
  expect_restored(0);
}

TEST_F(CopiesTest, AVolumeThatIsNotWhatItsSlotSays) {
  wire::DumpHeader label;
  label.type = wire::DumpHeader::Type::tapestart;
  label.timestamp = "20261201000000";
  label.label = "VTAPE-002";
  put(root / "vtapes/slot2/00000.VTAPE-002", wire::encode_header(label).value());
  expect_restored(1);
  expect_change(recorder.changes[0], "has been written over", Again::nothing);
}

TEST_F(CopiesTest, AFirstPartThatIsMissing) {
  fs::remove(root / "vtapes/slot2/00001.x");
  expect_restored(1);
  expect_change(recorder.changes[0], "looking for part 1 of", Again::nothing);
}

TEST_F(CopiesTest, ALaterPartThatIsMissing) {
  fs::remove(root / "vtapes/slot2/00002.x");
  expect_restored(1);
  expect_change(recorder.changes[0], "looking for part 2 of", Again::this_one);
}

TEST_F(CopiesTest, APartThatIsTooShort) {
  fs::resize_file(root / "vtapes/slot2/00001.x", kHeader + 1000);
  expect_restored(1);
  EXPECT_NE(recorder.changes[0].why.find("ends after 1000 bytes"), std::string::npos);
}

TEST_F(CopiesTest, ADamagedByte) {
  flip(root / "vtapes/slot2/00002.x", kHeader + 2000);
  expect_restored(1);
  expect_change(recorder.changes[0], "DAMAGED", Again::this_one);
}

// Whatever a copy that is not right unpacked is gone afterwards.
TEST_F(CopiesTest, FilesOfAWrongArchiveDoNotStay) {
  put(root / "other/d0/stranger", "x");
  put(root / "other/strange/f", "x");
  put(root / "other/d1", "a file where a directory was");
  fs::create_directories(root / "other/d2/f2/deep");
  put(root / "other/d2/f2/deep/f", "a directory where a file was");
  replace_parts(2, output_of("tar -C " + (root / "other").string() +
                             " --listed-incremental=" + (root / "other.snapshot").string() + " -cf - ."));
  expect_restored(1);
  // It is the shorter one, so that tar may end before its end.
  expect_change(recorder.changes[0], "", Again::this_one);
}

// An incremental that is not right may have removed what the full had brought, and the good one does not
// bring that again.
TEST_F(CopiesTest, AWrongIncrementalIsNoReasonToLackFilesOfTheFull) {
  fs::copy(root / "snapshot", root / "snapshot.kept");
  fs::copy(root / "tree", root / "tree.kept", fs::copy_options::recursive);
  fs::remove_all(root / "tree/d1");
  fs::remove(root / "tree/d0/f0");
  const std::string removing = archive_once();
  fs::remove_all(root / "tree");
  fs::rename(root / "tree.kept", root / "tree");
  replace_parts(4, removing);
  expect_restored(1);
  expect_change(recorder.changes[0], "DAMAGED", Again::all);
  EXPECT_EQ(recorder.places.size(), 8U) << "the full was read twice";
  EXPECT_EQ(recorder.places[4], "file 1 of volume VTAPE-002") << "of the copy that was good";
}

TEST_F(CopiesTest, NothingUnpackedOfAnIncrementalNothingAgain) {
  fs::remove(root / "vtapes/slot4/00001.x");
  expect_restored(1);
  expect_change(recorder.changes[0], "looking for part 1 of", Again::nothing);
  EXPECT_EQ(recorder.places.size(), 5U);
}

TEST_F(CopiesTest, BothDumpsFromTheOtherStorage) {
  flip(root / "vtapes/slot2/00001.x", kHeader + 2000);
  flip(root / "vtapes/slot4/00001.x", kHeader + 600);
  expect_restored(2);
  EXPECT_EQ(recorder.places.back(), "file 2 of volume VTAPE-005");
}

TEST_F(CopiesTest, WhenNoneIsGoodAllAreNamed) {
  flip(root / "vtapes/slot2/00001.x", kHeader + 2000);
  fs::remove(root / "vtapes/slot3/00002.x");
  const auto result = restore_all();
  ASSERT_FALSE(result);
  const std::string& what = result.error().what();
  EXPECT_EQ(result.error().kind(), base::ErrorKind::corrupt) << what;
  EXPECT_NE(
      what.find("none of the 2 copies of client.lab:/t of 20261124010000 level 0 can be used: the one in "
                "storage lab: DAMAGED"),
      std::string::npos)
      << what;
  EXPECT_NE(what.find("; the one in storage far: "), std::string::npos) << what;
}

TEST_F(CopiesTest, WhenNoVolumeIsThereNothingIsBegun) {
  fs::remove_all(root / "vtapes/slot4");
  fs::remove_all(root / "vtapes/slot5");
  const auto result = restore_all();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().what().find("the one in storage far: volume VTAPE-005 is in no slot"),
            std::string::npos)
      << result.error().what();
  EXPECT_TRUE(fs::is_empty(out));
}

TEST_F(CopiesTest, IncompleteCopiesAreNamedAndNotRead) {
  auto copies = load().copies_of(chain(kHost, "/t").front());
  ASSERT_EQ(copies.size(), 2U);
  for (catalog::Image& copy : copies) {
    if (copy.storage != "lab") continue;
    copy.status = catalog::ImageStatus::partial;
    copy.reason = "tape error";
  }
  Copies of_full(copies, config, "");
  ASSERT_TRUE(of_full.current());
  EXPECT_EQ((*of_full.current())->storage, "far");
  EXPECT_TRUE(of_full.passed_over().empty()) << "the catalog knew";
  of_full.give_up(base::Error(base::ErrorKind::again, "it is in use"));
  EXPECT_EQ(of_full.current().error().what(),
            "none of the 2 copies of client.lab:/t of 20261124010000 level 0 can be used: the one in storage "
            "lab: it "
            "is partial (tape error); the one in storage far: it is in use");
}

// What went to a descriptor cannot be taken back.
TEST_F(CopiesTest, ToADescriptorOnlyWhileNothingHasGone) {
  const auto to_file = [this](const std::string& preferred) {
    const base::Fd file(::open((root / "raw").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    RestoreRequest one = request(preferred);
    one.images.resize(1);
    one.copies.resize(1);
    one.to.clear();
    one.to_descriptor = file.get();
    return run(std::move(one));
  };
  fs::remove(root / "vtapes/slot2/00002.x");
  const auto begun = to_file("");
  ASSERT_FALSE(begun);
  EXPECT_NE(begun.error().what().find("There is a copy in storage far as well"), std::string::npos)
      << begun.error().what();
  ASSERT_TRUE(to_file("far"));
  EXPECT_TRUE(content(root / "raw") == full);
  fs::remove(root / "vtapes/slot2/00001.x");
  const auto other = to_file("");
  ASSERT_TRUE(other) << other.error().what();
  EXPECT_EQ(other->unusable_copies, 1U);
  EXPECT_TRUE(content(root / "raw") == full);
}

// Bytes that are as they were written are not to blame for what tar cannot do.
TEST_F(CopiesTest, AnArchiverThatFailsOnGoodBytesIsNoReasonForAnotherCopy) {
  const std::string nonsense(30000, 'x');
  for (const auto& [slot, label, storage] :
       {std::tuple{2, "VTAPE-006", "lab"}, std::tuple{3, "VTAPE-007", "far"}}) {
    fs::remove_all(root / "vtapes" / ("slot" + std::to_string(slot)));
    write({.disk = "/t",
           .stored = nonsense,
           .native = nonsense,
           .slots = {{slot, label}},
           .stamp = "20261126010000",
           .storage = storage});
  }
  const auto result = restore_all();
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().what().starts_with("\"tar ")) << result.error().what();
  EXPECT_TRUE(recorder.changes.empty());
}

}  // namespace
}  // namespace headrace::recover
