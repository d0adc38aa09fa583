// The contract of changer.h and volume.h as a test suite for any driver. A test source defines how to make a
// changer of empty volumes and instantiates the suite, once a program:
//
//   INSTANTIATE_TEST_SUITE_P(Vtape, VolumeContract, ::testing::Values(DriverCase{"vtape", make}),
//   name_of_driver);
//
// Tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "server/volume/changer.h"
#include "server/volume/test_support.h"

namespace headrace::volume {

// A changer with at least three blank volumes of at least 10 MB in it, and whatever it stands on.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual Changer& changer() = 0;
  // Volumes of about `bytes` from the next load on; 0: without limit.
  virtual void limit(uint64_t bytes) = 0;
};

struct DriverCase {
  std::string name;  // letters and digits
  std::function<std::unique_ptr<Driver>()> make;
};
inline std::string name_of_driver(const ::testing::TestParamInfo<DriverCase>& info) {
  return info.param.name;
}

class VolumeContract : public ::testing::TestWithParam<DriverCase> {
 protected:
  std::string slot(size_t index) { return driver_->changer().inventory().value().at(index).name; }
  std::unique_ptr<Volume> load(size_t index = 0) {
    auto volume = driver_->changer().load(slot(index));
    EXPECT_TRUE(volume) << volume.error().what();
    return std::move(volume).value();
  }
  std::unique_ptr<Volume> labelled(size_t index = 0, const std::string& label = "VOL-001") {
    auto volume = load(index);
    EXPECT_TRUE(volume->write_label(label, kStamp));
    return volume;
  }
  static void write_file(Volume& volume, const std::string& text, const std::string& disk = "/srv/data") {
    ASSERT_TRUE(volume.start_file(sample_header(disk)));
    for (size_t at = 0; at < text.size();) {
      const iovec piece{const_cast<char*>(text.data()) + at, text.size() - at};
      const auto written = volume.write({&piece, 1});
      ASSERT_TRUE(written) << written.error().what();
      ASSERT_GT(written->bytes, 0U);
      at += written->bytes;
    }
    ASSERT_TRUE(volume.finish_file(true));
  }
  static std::string read_file(Volume& volume, int number) {
    auto file = volume.open_file(number);
    EXPECT_TRUE(file) << file.error().what();
    if (!file) return {};
    std::string text;
    std::vector<std::byte> buffer(50000);
    for (;;) {
      const auto got = (*file)->read(buffer);
      EXPECT_TRUE(got);
      if (!got || *got == 0) return text;
      text += base::as_text(std::span(buffer).first(*got));
    }
  }

  std::unique_ptr<Driver> driver_ = GetParam().make();
};

TEST_P(VolumeContract, SlotsAreListedOnceAndOneIsCurrent) {
  const auto slots = driver_->changer().inventory().value();
  ASSERT_GE(slots.size(), 3U);
  EXPECT_EQ(std::ranges::count(slots, true, &Slot::current), 1);
  EXPECT_EQ(driver_->changer().current_slot().value(), slots[0].name);
  EXPECT_EQ(slots_from(slots, slots[1].name).back().name, slots[0].name);
}

TEST_P(VolumeContract, TheCurrentSlotIsRemembered) {
  ASSERT_TRUE(driver_->changer().make_current(slot(2)));
  EXPECT_EQ(driver_->changer().current_slot().value(), slot(2));
  EXPECT_TRUE(driver_->changer().inventory().value()[2].current);
  EXPECT_EQ(driver_->changer().make_current("nowhere").error().kind(), base::ErrorKind::refused);
}

TEST_P(VolumeContract, ALoadedVolumeIsLoadedOnce) {
  auto volume = load();
  EXPECT_EQ(driver_->changer().load(slot(0)).error().kind(), base::ErrorKind::again);
  EXPECT_NE(driver_->changer().inventory().value()[0].in_use_by, 0);
  auto other = load(1);
  ASSERT_TRUE(volume->release());
  EXPECT_EQ(driver_->changer().inventory().value()[0].in_use_by, 0);
  EXPECT_NE(load(0), nullptr);
}

TEST_P(VolumeContract, ADestroyedVolumeIsUnloaded) {
  load().reset();
  EXPECT_NE(load(), nullptr);
}

TEST_P(VolumeContract, ASlotThatIsNotThereIsRefused) {
  EXPECT_EQ(driver_->changer().load("4711").error().kind(), base::ErrorKind::refused);
  EXPECT_EQ(driver_->changer().load("").error().kind(), base::ErrorKind::refused);
}

TEST_P(VolumeContract, AFreshVolumeIsBlankAndTakesNoFile) {
  auto volume = load();
  EXPECT_EQ(volume->read_label().value().state, LabelState::blank);
  EXPECT_FALSE(volume->start_file(sample_header()));
  EXPECT_TRUE(volume->list_files().value().empty());
}

TEST_P(VolumeContract, ALabelIsReadBackByOthers) {
  labelled().reset();
  const auto found = load()->read_label().value();
  EXPECT_EQ(found.state, LabelState::labelled);
  EXPECT_EQ(found.label, "VOL-001");
  EXPECT_EQ(found.name, "VOL-001");
  EXPECT_EQ(found.timestamp, kStamp);
  EXPECT_EQ(slot_of_label(driver_->changer().inventory().value(), "VOL-001"), slot(0));
}

TEST_P(VolumeContract, ALabelThatCannotBeIsRefusedAndErasesNothing) {
  auto volume = labelled();
  write_file(*volume, "data");
  for (const auto* bad : {"", "two words", "a/b", "../escape"}) {
    EXPECT_EQ(volume->write_label(bad, kStamp).error().kind(), base::ErrorKind::refused) << bad;
  }
  EXPECT_EQ(volume->write_label("VOL-002", "yesterday").error().kind(), base::ErrorKind::refused);
  EXPECT_EQ(volume->read_label().value().label, "VOL-001");
  EXPECT_EQ(read_file(*volume, 1), "data");
}

TEST_P(VolumeContract, FilesAreNumberedAndReadBack) {
  auto volume = labelled();
  const std::string text = noise(300001);
  write_file(*volume, text);
  write_file(*volume, "second", "/srv/ü :\\ x");
  write_file(*volume, "");
  const auto files = volume->list_files().value();
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0].number, 1);
  EXPECT_EQ(files[2].number, 3);
  EXPECT_TRUE(read_file(*volume, 1) == text);
  EXPECT_EQ(read_file(*volume, 2), "second");
  EXPECT_EQ(read_file(*volume, 3), "");
  EXPECT_EQ(volume->open_file(2).value()->header().disk, "/srv/ü :\\ x");
  EXPECT_EQ(volume->open_file(4).error().kind(), base::ErrorKind::refused);
  EXPECT_EQ(volume->open_file(0).error().kind(), base::ErrorKind::refused);
}

TEST_P(VolumeContract, ALabelErasesWhatWasThere) {
  auto volume = labelled();
  write_file(*volume, "old");
  ASSERT_TRUE(volume->write_label("VOL-002", kStamp));
  EXPECT_TRUE(volume->list_files().value().empty());
  write_file(*volume, "new");
  EXPECT_EQ(read_file(*volume, 1), "new");
}

TEST_P(VolumeContract, ADroppedFileIsNotThere) {
  auto volume = labelled();
  ASSERT_TRUE(volume->start_file(sample_header()));
  const std::string text = "half";
  const iovec piece = piece_of(text);
  ASSERT_TRUE(volume->write({&piece, 1}));
  ASSERT_TRUE(volume->drop_file());
  EXPECT_TRUE(volume->list_files().value().empty());
  write_file(*volume, "whole");
  EXPECT_EQ(read_file(*volume, 1), "whole");
}

TEST_P(VolumeContract, OneFileAtATime) {
  auto volume = labelled();
  const std::string text = "x";
  const iovec piece = piece_of(text);
  EXPECT_FALSE(volume->write({&piece, 1}));
  EXPECT_FALSE(volume->finish_file(true));
  ASSERT_TRUE(volume->start_file(sample_header()));
  EXPECT_FALSE(volume->start_file(sample_header()));
  EXPECT_FALSE(volume->write_label("VOL-002", kStamp));
}

TEST_P(VolumeContract, TheEndIsToldBeforeItComes) {
  driver_->limit(1 << 20);
  auto volume = labelled();
  if (!volume->warns_early()) GTEST_SKIP() << "gives no early warning";
  ASSERT_TRUE(volume->start_file(sample_header()));
  const std::string text = noise(2 << 20);
  uint64_t total = 0;
  Medium medium = Medium::good;
  while (medium == Medium::good) {
    const iovec piece{const_cast<char*>(text.data()) + total, text.size() - total};
    const auto written = volume->write({&piece, 1});
    ASSERT_TRUE(written);
    ASSERT_GT(written->bytes, 0U) << "full without a warning";
    total += written->bytes;
    medium = written->medium;
  }
  EXPECT_EQ(medium, Medium::early_warning);
  EXPECT_GT(total, 800U * 1024);
  ASSERT_TRUE(volume->finish_file(true));
  EXPECT_TRUE(read_file(*volume, 1) == text.substr(0, total));
  EXPECT_EQ(volume->start_file(sample_header()).error().kind(), base::ErrorKind::full);
}

TEST_P(VolumeContract, BehindTheWarningTheEndIsHardAndLosesNothing) {
  driver_->limit(1 << 20);
  auto volume = labelled();
  ASSERT_TRUE(volume->start_file(sample_header()));
  const std::string text = noise(2 << 20);
  uint64_t total = 0;
  for (;;) {
    const iovec piece{const_cast<char*>(text.data()) + total, std::min<size_t>(text.size() - total, 50000)};
    const auto written = volume->write({&piece, 1});
    ASSERT_TRUE(written);
    if (written->medium == Medium::full) {
      EXPECT_EQ(written->bytes, 0U);
      break;
    }
    total += written->bytes;
    ASSERT_LT(total, 1U << 20U);
  }
  ASSERT_TRUE(volume->finish_file(true));
  EXPECT_TRUE(read_file(*volume, 1) == text.substr(0, total));
}

}  // namespace headrace::volume
