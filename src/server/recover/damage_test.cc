// What happens to a restore when media, volumes or decoders are not as they should be.
#include "server/recover/restore.h"

#include <gtest/gtest.h>

#include "server/recover/test_support.h"

namespace headrace::recover {
namespace {

class DamageTest : public RestoreFixture {
 protected:
  DamageTest() : RestoreFixture(HEADRACE_TEST_DATA) {}
};

TEST_F(DamageTest, DamagedByteOnAVolume) {
  flip(root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0", kHeader + 2000);
  expect_damaged(chain(kHost, kDisk), "It was read from volume VTAPE-001 (file 2)");
}

TEST_F(DamageTest, DamagedByteOnAHoldingDisk) {
  flip(root / "holding/20261123013208/client.lab._tmp_lab_med_data1.1", kHeader + 2000);
  expect_damaged(chain(kHost, kDisk), "It was read from holding file ");
}

TEST_F(DamageTest, DamagedCompressedStream) {
  const std::string native = archive();
  make({.disk = "/t",
        .stored = gzipped(native),
        .native = native,
        .suffix = ".gz",
        .part_bytes = 20000,
        .slots = {{2, "VTAPE-002"}, {3, "VTAPE-003"}}});
  flip(root / "vtapes/slot3/00001.x", kHeader + 10000);
  expect_damaged(chain(kHost, "/t"),
                 "It was read from volume VTAPE-002 (file 1, 2), volume VTAPE-003 (file 1, 2)");
}

TEST_F(DamageTest, RightStreamOfAWrongArchive) {
  const std::string native = archive();
  make({.disk = "/t",
        .stored = gzipped(native),
        .native = native + "x",
        .suffix = ".gz",
        .part_bytes = 200000,
        .slots = {{2, "VTAPE-002"}}});
  expect_damaged(chain(kHost, "/t"), "its archive has the checksum");
}

TEST_F(DamageTest, TruncatedPart) {
  fs::resize_file(root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0", kHeader + 9000);
  expect_damaged(chain(kHost, kDisk),
                 "DAMAGED: file 2 of volume VTAPE-001 ends after 9000 bytes of the 10240 that were written");
}

TEST_F(DamageTest, LongerPartButForATapesPadding) {
  const fs::path part = root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0";
  fs::resize_file(part, kHeader + 10240 + 500);
  const auto padded = restore(chain(kHost, kDisk));
  EXPECT_TRUE(padded) << padded.error().what();
  flip(part, kHeader + 10240 + 100);
  expect_damaged(chain(kHost, kDisk), "has more than the 10240 bytes that were written");
}

TEST_F(DamageTest, MissingPart) {
  fs::remove(root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0");
  const auto result = restore(chain(kHost, kDisk));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), base::ErrorKind::refused);
  EXPECT_NE(result.error().what().find(
                "looking for part 1 of client.lab:/tmp/lab/med/data1 of 20261123013159 level 0 "
                "in file 2 of volume VTAPE-001"),
            std::string::npos)
      << result.error().what();
}

TEST_F(DamageTest, AnotherDumpInTheFile) {
  const fs::path slot = root / "vtapes/slot1";
  fs::rename(slot / "00001.client.lab._tmp_lab_med_data2.0", slot / "00002.other");
  fs::remove(slot / "00002.client.lab._tmp_lab_med_data1.0");
  expect_damaged(chain(kHost, kDisk), "its header says part 1 of client.lab:/tmp/lab/med/data2");
}

TEST_F(DamageTest, WrongLabel) {
  wire::DumpHeader label;
  label.type = wire::DumpHeader::Type::tapestart;
  label.timestamp = "20261123013159";
  label.label = "VTAPE-009";
  put(root / "vtapes/slot1/00000.VTAPE-001", wire::encode_header(label).value());
  expect_damaged(chain(kHost, kDisk), "slot 1 should hold volume VTAPE-001, but its label says VTAPE-009");
  label.label = "VTAPE-001";
  label.timestamp = "20261201000000";
  put(root / "vtapes/slot1/00000.VTAPE-001", wire::encode_header(label).value());
  expect_damaged(chain(kHost, kDisk), "has been written over");
}

TEST_F(DamageTest, VolumeThatIsNotThere) {
  fs::rename(root / "vtapes/slot1", root / "shelf");
  fs::create_directory(root / "vtapes/slot1");
  const auto result = restore(chain(kHost, kDisk));
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().what().starts_with("volume VTAPE-001 is in no slot of any changer"))
      << result.error().what();
}

// What was seen in the slots is remembered; volumes are moved while a restore goes on.
TEST_F(DamageTest, AVolumeThatWasPutIntoAnotherSlotIsFoundAgain) {
  Volumes volumes(config);
  const VolumeWanted wanted{"VTAPE-001", "20261123013159", "lab"};
  const auto first = volumes.load(wanted);
  ASSERT_TRUE(first) << first.error().what();
  EXPECT_EQ((*first)->slot(), "1");
  volumes.unload();
  fs::rename(root / "vtapes/slot3", root / "shelf");
  fs::rename(root / "vtapes/slot1", root / "vtapes/slot3");
  fs::rename(root / "shelf", root / "vtapes/slot1");
  const auto moved = volumes.load(wanted);
  ASSERT_TRUE(moved) << moved.error().what();
  EXPECT_EQ((*moved)->slot(), "3");
  volumes.unload();
  fs::rename(root / "vtapes/slot3", root / "shelf");
  EXPECT_FALSE(volumes.load(wanted));
  EXPECT_FALSE(volumes.require({wanted}));
  fs::rename(root / "shelf", root / "vtapes/slot2");
  EXPECT_TRUE(volumes.require({wanted}));
  EXPECT_TRUE(volumes.load(wanted));
}

TEST_F(DamageTest, VolumesAreLookedForBeforeAnythingIsWritten) {
  const std::string native = archive();
  make({.disk = "/t",
        .stored = native,
        .native = native,
        .suffix = "",
        .part_bytes = native.size() / 4 + 1,
        .slots = {{2, "VTAPE-002"}, {3, "VTAPE-003"}}});
  fs::remove_all(root / "vtapes/slot3");
  const auto result = restore(chain(kHost, "/t"));
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().what().starts_with("volume VTAPE-003 is in no slot")) << result.error().what();
  EXPECT_TRUE(fs::is_empty(out));
}

// A decoder of the site's own that misbehaves around its work.
class OddDecoder : public DamageTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(OddDecoder, DoesNotHangUs) {
  const fs::path script = root / "decode";
  put(script, std::string("#!/bin/sh\n") + GetParam() + "\n");
  ::chmod(script.c_str(), 0755);
  const std::string native = archive();
  make({.disk = "/t",
        .stored = gzipped(native),
        .native = native,
        .suffix = "cust",
        .part_bytes = 300000,
        .slots = {{2, "VTAPE-002"}},
        .decoder = script.string()});
  const auto result = restore(chain(kHost, "/t"));
  if (result) {
    expect_tree();
  } else {
    EXPECT_NE(result.error().what().find("client.lab:/t of 20261124010000"), std::string::npos)
        << result.error().what();
  }
}

INSTANTIATE_TEST_SUITE_P(Scripts, OddDecoder,
                         ::testing::Values("head -c 300000 /dev/zero | tr '\\0' x >&2; exec gzip -dc",
                                           "sleep 3 & exec gzip -dc", "exit 3", "kill -9 $$",
                                           "gzip -dc; exit 7", "exec head -c 1000"));

}  // namespace
}  // namespace headrace::recover
