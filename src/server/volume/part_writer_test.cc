#include "server/volume/part_writer.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "server/volume/test_support.h"

namespace headrace::volume {
namespace {

using base::ErrorKind;

class PartWriterTest : public ::testing::Test {
 protected:
  void make_slots(uint64_t length_bytes, bool early_warning = true) {
    vtape::VtapeLimits limits;
    limits.length_bytes = length_bytes;
    limits.early_warning = early_warning;
    slots_ = std::make_unique<SlotDirectory>(9, limits);
    owner_.on_wanted = [this] { writer_->use(next_volume(), label()); };
  }
  std::shared_ptr<Volume> next_volume() {
    ++slot_;
    return slots_->labelled(std::to_string(slot_), label());
  }
  std::string label() const { return "VOL-" + std::to_string(slot_); }
  void make_writer(PartOptions options, PartPosition start = {}) {
    writer_ =
        std::make_unique<PartWriter>(run_.loop(), lane_, sample_header(), options, owner_, std::move(start));
  }
  std::string read_back() {
    writer_.reset();
    PartReader reader(run_.loop(), lane_, volumes_of(slots_->changer()), sample_id(), owner_.places());
    auto text = run_.read(reader);
    EXPECT_TRUE(text) << text.error().what();
    return text.value_or("");
  }
  static base::CrcAndSize crc_of(const std::string& text) {
    base::Crc32c crc;
    crc.add(base::as_bytes(text));
    return crc.value();
  }

  std::unique_ptr<SlotDirectory> slots_;
  LoopRunner run_;
  uint64_t lane_ = run_.loop().new_lane();
  TestOwner owner_;
  int slot_ = 0;
  std::unique_ptr<PartWriter> writer_;
};

TEST_F(PartWriterTest, OnePartWhenNothingSplits) {
  make_slots(0);
  make_writer({});
  const std::string text = noise(300000);
  ASSERT_TRUE(run_.write(*writer_, text));
  ASSERT_TRUE(run_.finish(*writer_));
  EXPECT_EQ(writer_->parts(), 1);
  EXPECT_EQ(writer_->crc(), crc_of(text));
  ASSERT_EQ(owner_.parts.size(), 1U);
  const PartResult& part = owner_.parts[0];
  EXPECT_TRUE(part.good);
  EXPECT_EQ(part.label, "VOL-1");
  EXPECT_EQ(part.file, 1);
  EXPECT_EQ(part.part, 1);
  EXPECT_EQ(part.bytes, text.size());
  const auto file = slurp(*slots_ / "slot1/00001.client.lab._srv_data.1");
  EXPECT_TRUE(file.starts_with(
      "AMANDA: SPLIT_FILE 20261123013208 client.lab /srv/data  part 1/-1  lev 1 comp N program /bin/tar\n"));
  EXPECT_NE(file.find("dd if=<tape> bs=32k skip=1"), std::string::npos);
  EXPECT_EQ(file.size(), 32768 + text.size());
  EXPECT_TRUE(read_back() == text);
}

TEST_F(PartWriterTest, SplitsIntoPartsOfTheirSize) {
  make_slots(0);
  make_writer({.part_bytes = 100000});
  const std::string text = noise(300000);
  ASSERT_TRUE(run_.write(*writer_, text, 77777));
  ASSERT_TRUE(run_.finish(*writer_));
  ASSERT_EQ(owner_.parts.size(), 3U);  // no empty fourth
  EXPECT_EQ(owner_.parts[2].offset, 200000U);
  EXPECT_EQ(owner_.parts[2].bytes, 100000U);
  EXPECT_TRUE(read_back() == text);
}

TEST_F(PartWriterTest, GoesToTheNextVolumeWithoutRepeatingAByte) {
  make_slots(1 << 20);
  make_writer({});
  const std::string text = noise(2500000);
  ASSERT_TRUE(run_.write(*writer_, text));
  ASSERT_TRUE(run_.finish(*writer_));
  ASSERT_EQ(owner_.parts.size(), 3U);
  EXPECT_EQ(owner_.wanted, 3);
  uint64_t offset = 0;
  for (const auto& part : owner_.parts) {
    EXPECT_TRUE(part.good);
    EXPECT_EQ(part.offset, offset);
    offset += part.bytes;
  }
  EXPECT_EQ(owner_.parts[1].label, "VOL-2");
  EXPECT_EQ(writer_->crc(), crc_of(text));
  EXPECT_TRUE(read_back() == text);
}

TEST_F(PartWriterTest, WithoutEarlyWarningThePartIsToBeRepeated) {
  make_slots(1 << 20, false);
  make_writer({.part_bytes = 400000});
  const std::string text = noise(1500000);
  const auto written = run_.write(*writer_, text);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind(), ErrorKind::full);
  ASSERT_EQ(owner_.parts.size(), 3U);
  EXPECT_FALSE(owner_.parts[2].good);
  EXPECT_NE(owner_.parts[2].why.find("VOL-1"), std::string::npos);
  EXPECT_EQ(writer_->position().part, 3);
  EXPECT_EQ(writer_->position().offset, 800000U);

  // The owner goes on where the failed part began.
  const PartPosition at = writer_->position();
  make_writer({.part_bytes = 400000}, at);
  ASSERT_TRUE(run_.write(*writer_, text.substr(at.offset)));
  ASSERT_TRUE(run_.finish(*writer_));
  EXPECT_EQ(writer_->crc(), crc_of(text));
  EXPECT_EQ(owner_.places().size(), 4U);
  EXPECT_TRUE(read_back() == text);
}

TEST_F(PartWriterTest, AnImageThatMayNotBeSplitUsesTheWholeVolume) {
  make_slots(1 << 20);
  make_writer({.may_split = false});
  const std::string text = noise(970000);
  // Beyond the early warning, but within the volume.
  ASSERT_TRUE(run_.write(*writer_, text));
  ASSERT_TRUE(run_.finish(*writer_));
  EXPECT_EQ(owner_.parts.size(), 1U);

  make_writer({.may_split = false});
  EXPECT_EQ(run_.write(*writer_, noise(1200000)).error().kind(), ErrorKind::full);
  EXPECT_EQ(writer_->position().offset, 0U);
  EXPECT_FALSE(owner_.parts.back().good);
}

TEST_F(PartWriterTest, ImagesFollowEachOtherOnOneVolume) {
  make_slots(0);
  const auto volume = next_volume();
  for (const auto* disk : {"/a", "/b"}) {
    PartWriter writer(run_.loop(), lane_, sample_header(disk), {}, owner_);
    writer.use(volume, label());
    ASSERT_TRUE(run_.write(writer, disk));
    ASSERT_TRUE(run_.finish(writer));
  }
  EXPECT_EQ(owner_.wanted, 0);
  EXPECT_EQ(owner_.parts[1].file, 2);
  EXPECT_TRUE(std::filesystem::exists(*slots_ / "slot1/00002.client.lab._b.1"));
}

TEST_F(PartWriterTest, WithoutAVolumeItFails) {
  make_slots(0);
  make_writer({});
  owner_.on_wanted = [this] { writer_->refuse({ErrorKind::full, "No acceptable volumes found"}); };
  const auto written = run_.write(*writer_, "data");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().what(), "No acceptable volumes found");
}

TEST_F(PartWriterTest, AVolumeMayComeLater) {
  make_slots(0);
  make_writer({});
  owner_.on_wanted = [this] { run_.loop().post([this] { writer_->use(next_volume(), label()); }); };
  ASSERT_TRUE(run_.write(*writer_, "data"));
  ASSERT_TRUE(run_.finish(*writer_));
  EXPECT_EQ(read_back(), "data");
}

TEST_F(PartWriterTest, AbandonedItTakesThePartBack) {
  make_slots(0);
  make_writer({});
  ASSERT_TRUE(run_.write(*writer_, noise(300000)));
  const auto file = *slots_ / "slot1/00001.client.lab._srv_data.1";
  ASSERT_TRUE(std::filesystem::exists(file));
  writer_.reset();
  run_.run_until([&] { return !std::filesystem::exists(file); });
  EXPECT_TRUE(owner_.parts.empty());
}

TEST_F(PartWriterTest, AHeaderThatCannotBeWrittenIsAnError) {
  make_slots(0);
  auto header = sample_header();
  header.host = "two words";
  writer_ = std::make_unique<PartWriter>(run_.loop(), lane_, header, PartOptions{}, owner_);
  EXPECT_EQ(run_.write(*writer_, "data").error().kind(), ErrorKind::refused);
}

TEST_F(PartWriterTest, TheReaderChecksWhatItFinds) {
  make_slots(0);
  make_writer({.part_bytes = 1000});
  ASSERT_TRUE(run_.write(*writer_, noise(2500)));
  ASSERT_TRUE(run_.finish(*writer_));
  writer_.reset();
  const auto read = [&](const DumpId& id, std::vector<PartPlace> places) {
    PartReader reader(run_.loop(), lane_, volumes_of(slots_->changer()), id, std::move(places));
    const auto text = run_.read(reader);
    EXPECT_FALSE(text);
    return text ? std::string() : text.error().what();
  };
  auto places = owner_.places();
  EXPECT_NE(read(sample_id("/other"), places).find("belongs to client.lab:/srv/data"), std::string::npos);
  std::swap(places[0].file, places[1].file);
  EXPECT_NE(read(sample_id(), places).find("is part 2"), std::string::npos);
  EXPECT_NE(read(sample_id(), {{"VOL-1", 7, 1}}).find("no file 7"), std::string::npos);
  EXPECT_NE(read(sample_id(), {{"VOL-7", 1, 1}}).find("VOL-7"), std::string::npos);
  EXPECT_NE(read(sample_id(), {}).find("no part"), std::string::npos);
  // Name and label of a volume disagree.
  std::filesystem::rename(*slots_ / "slot1/00000.VOL-1", *slots_ / "slot1/00000.VOL-8");
  EXPECT_NE(read(sample_id(), {{"VOL-8", 1, 1}}).find("'VOL-1'"), std::string::npos);
}

TEST(PartOptions, FollowTapetypeAndDumptype) {
  config::Tapetype tapetype;
  config::Dumptype dumptype;
  EXPECT_EQ(part_options(tapetype, dumptype).part_bytes, 0U);
  EXPECT_TRUE(part_options(tapetype, dumptype).may_split);
  tapetype.part_size_kib = 1024;
  EXPECT_EQ(part_options(tapetype, dumptype).part_bytes, 1U << 20U);
  tapetype.part_cache_max_size_kib = 512;
  EXPECT_EQ(part_options(tapetype, dumptype).part_bytes, 512U * 1024);
  dumptype.tape_splitsize_kib = 2048;
  EXPECT_EQ(part_options(tapetype, dumptype).part_bytes, 2U << 20U);
  dumptype.allow_split = false;
  EXPECT_EQ(part_options(tapetype, dumptype).part_bytes, 0U);
  EXPECT_FALSE(part_options(tapetype, dumptype).may_split);
}

}  // namespace
}  // namespace headrace::volume
