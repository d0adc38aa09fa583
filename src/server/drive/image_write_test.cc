// One held image on its way to real vtapes, with a desk that hands out volumes as the test says.
#include "server/drive/image_write.h"

#include <gtest/gtest.h>

#include <deque>

#include "server/hold/chunk_chain.h"
#include "server/hold/scan.h"
#include "server/volume/part_reader.h"
#include "server/volume/test_support.h"

namespace headrace::drive {
namespace {

using base::ErrorKind;
using base::Result;
using volume::noise;
using volume::PartResult;

constexpr uint64_t kKib = 1024;

class Desk : public VolumeDesk {
 public:
  explicit Desk(loop::Loop& loop) : loop_(loop) {}
  void next_volume(size_t, Answer answer) override {
    ++asked;
    if (on_asked) on_asked();
    loop_.post([this, answer = std::move(answer)]() mutable {
      if (volumes.empty()) return answer(base::fail(ErrorKind::full, "runtapes does not allow more"));
      auto next = std::move(volumes.front());
      volumes.pop_front();
      answer(std::move(next));
    });
  }
  void part_ended(size_t writer, const PartResult& part) override {
    EXPECT_EQ(writer, 4U);
    parts.push_back(part);
    if (on_part) on_part();
  }

  int asked = 0;
  std::vector<PartResult> parts;
  std::deque<LoadedVolume> volumes;
  std::function<void()> on_asked, on_part;

 private:
  loop::Loop& loop_;
};

class ImageWriteTest : public ::testing::Test {
 protected:
  // An image of these bytes in chunks on holding disk.
  void hold(const std::string& bytes, uint64_t chunk_kib = 256) {
    auto header = volume::sample_header();
    header.type = wire::DumpHeader::Type::file;
    header.part = 1;
    hold::ChunkChain chain(header, volume::kStamp, false);
    chain.add_room({0, holding.path(), chunk_kib * kKib, uint64_t{1} << 30U});
    size_t at = 0;
    while (at < bytes.size()) {
      const iovec piece{const_cast<char*>(bytes.data()) + at, bytes.size() - at};
      const auto wrote = chain.write({&piece, 1});
      ASSERT_GT(wrote.bytes, 0U);
      at += wrote.bytes;
    }
    base::Crc32c crc;
    crc.add(base::as_bytes(bytes));
    ASSERT_TRUE(chain.finish({bytes.size() / kKib, {}, {}, crc.value()}));
    image = hold::read_image(chain.first_path()).value();
  }
  ~ImageWriteTest() override {
    write.reset();
    let_go_of_volumes();
  }
  // What is given up is taken off its volume behind our back; the changer must outlive that.
  void let_go_of_volumes() {
    desk.volumes.clear();
    runner.loop().offload(lane, [] {}, [this] { runner.loop().stop(); });
    runner.loop().run();
  }
  // Volumes of so many KiB for the desk; the first is what the write begins with.
  void make_volumes(int count, uint64_t kib, bool warns = true) {
    vtape::VtapeLimits limits;
    limits.length_bytes = kib * kKib;
    limits.early_warning = warns;
    limits.monitor_free_space = false;
    let_go_of_volumes();
    slots = std::make_unique<volume::SlotDirectory>(count, limits);
    for (int i = 1; i <= count; ++i) {
      const std::string label = "V-00" + std::to_string(i);
      desk.volumes.push_back({slots->labelled(std::to_string(i), label), label, std::to_string(i)});
    }
  }
  void start(uint64_t part_kib) {
    volume::PartOptions options;
    options.part_bytes = part_kib * kKib;
    options.sync = false;
    auto first = std::move(desk.volumes.front());
    desk.volumes.pop_front();
    write = std::make_unique<ImageWrite>(runner.loop(), desk, 4, image.file, image.header, options, lane);
    write->start(std::move(first), [this](WriteOutcome result) {
      EXPECT_FALSE(outcome) << "told twice";
      outcome = std::move(result);
      write.reset();
      runner.loop().stop();
    });
  }
  WriteOutcome run(uint64_t part_kib = 0) {
    start(part_kib);
    runner.loop().run();
    EXPECT_TRUE(outcome);
    return outcome ? std::move(*outcome) : WriteOutcome{};
  }
  // What the good parts hold, in order.
  std::string written() {
    std::string data;
    int number = 1;
    for (const auto& part : desk.parts) {
      if (!part.good) continue;
      EXPECT_EQ(part.part, number++) << "parts are numbered without gaps";
      EXPECT_EQ(part.offset, data.size());
      for (const auto& file : std::filesystem::directory_iterator(*slots / ("slot" + part.label.substr(4)))) {
        char prefix[8];
        std::snprintf(prefix, sizeof prefix, "%05d.", part.file);
        if (file.path().filename().native().starts_with(prefix))
          data += volume::slurp(file.path()).substr(32768, part.bytes);
      }
    }
    return data;
  }
  void flip(const std::filesystem::path& file, size_t at) {
    auto text = volume::slurp(file);
    text.at(at) = static_cast<char>(text.at(at) ^ 1);
    volume::spill(file, text);
  }

  volume::TempDir holding;
  volume::LoopRunner runner;
  uint64_t lane = runner.loop().new_lane();
  Desk desk{runner.loop()};
  std::unique_ptr<volume::SlotDirectory> slots;
  hold::Image image;
  std::unique_ptr<ImageWrite> write;
  std::optional<WriteOutcome> outcome;
};

TEST_F(ImageWriteTest, WholeInOnePart) {
  const std::string bytes = noise(1'000'000);
  hold(bytes);
  make_volumes(1, 0);
  const auto result = run();
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_EQ(result.parts, 1);
  EXPECT_EQ(result.bytes, bytes.size());
  EXPECT_EQ(result.crc, image.header.server_crc);
  EXPECT_TRUE(written() == bytes);
  EXPECT_EQ(desk.asked, 0);
}

TEST_F(ImageWriteTest, AnEmptyImage) {
  hold("");
  make_volumes(1, 0);
  const auto result = run();
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_EQ(result.parts, 1);
}

TEST_F(ImageWriteTest, OnOverSeveralVolumes) {
  const std::string bytes = noise(2'000'000);
  hold(bytes);
  for (const bool warns : {true, false}) {
    SCOPED_TRACE(warns);
    desk.parts.clear();
    desk.asked = 0;
    outcome.reset();
    make_volumes(4, 900, warns);
    const auto result = run(200);
    ASSERT_TRUE(result.result) << result.result.error().what();
    EXPECT_TRUE(written() == bytes);
    EXPECT_GE(desk.asked, 2);
    EXPECT_EQ(result.crc, image.header.server_crc);
    const bool lost_a_part = std::ranges::any_of(desk.parts, [](const auto& part) { return !part.good; });
    EXPECT_EQ(lost_a_part, !warns) << "a hard end costs the part, an early warning nothing";
    EXPECT_EQ(result.parts, std::ranges::count_if(desk.parts, &PartResult::good));
    desk.volumes.clear();
  }
}

TEST_F(ImageWriteTest, NoNextVolume) {
  const std::string bytes = noise(2'000'000);
  hold(bytes);
  for (const bool warns : {true, false}) {
    SCOPED_TRACE(warns);
    desk.parts.clear();
    outcome.reset();
    make_volumes(1, 900, warns);
    const auto result = run(200);
    ASSERT_FALSE(result.result);
    EXPECT_EQ(result.result.error().kind(), ErrorKind::full);
    EXPECT_FALSE(result.unreadable);
    EXPECT_EQ(result.parts, std::ranges::count_if(desk.parts, &PartResult::good));
    EXPECT_GT(result.parts, 0);
    EXPECT_TRUE(written() == bytes.substr(0, result.bytes));
    EXPECT_EQ(hold::read_image(image.file)->data_bytes, bytes.size()) << "the image stands untouched";
  }
}

TEST_F(ImageWriteTest, ADamagedImageIsNeverGood) {
  hold(noise(1'000'000));
  make_volumes(1, 0);
  flip(image.chunks.at(2), 40'000);
  const auto result = run(100);
  ASSERT_FALSE(result.result);
  EXPECT_EQ(result.result.error().kind(), ErrorKind::corrupt);
  EXPECT_NE(result.result.error().what().find("is damaged"), std::string::npos);
  EXPECT_TRUE(result.unreadable);
  EXPECT_FALSE(result.volume_lost);
}

// Reading fails in the middle of a part: the volume is not to blame.
TEST_F(ImageWriteTest, AnImageThatCannotBeRead) {
  hold(noise(1'000'000));
  for (const char* how : {"gone", "another image's", "no image at all"}) {
    SCOPED_TRACE(how);
    outcome.reset();
    make_volumes(1, 0);
    const auto& chunk = image.chunks.at(3);
    if (std::string_view(how) == "gone") std::filesystem::remove(chunk);
    if (std::string_view(how) == "another image's") {
      auto header = volume::sample_header("/another");
      header.type = wire::DumpHeader::Type::cont_file;
      volume::spill(chunk, wire::encode_header(header).value() + noise(1000));
    }
    if (std::string_view(how) == "no image at all") volume::spill(chunk, noise(100'000));
    const auto result = run();
    ASSERT_FALSE(result.result);
    EXPECT_TRUE(result.unreadable) << result.result.error().what();
    EXPECT_FALSE(result.volume_lost);
  }
}

TEST_F(ImageWriteTest, AVolumeThatFailsIsLostAndTheImageIsNot) {
  hold(noise(1'000'000));
  make_volumes(1, 0);
  // The slot's directory disappears under it: no file can be begun.
  std::filesystem::remove_all(*slots / "slot1");
  const auto result = run();
  ASSERT_FALSE(result.result);
  EXPECT_TRUE(result.volume_lost) << result.result.error().what();
  EXPECT_FALSE(result.unreadable);
}

TEST_F(ImageWriteTest, AbortedItAsksForNothingMore) {
  hold(noise(2'000'000));
  make_volumes(4, 900);
  desk.on_part = [&] {
    if (desk.parts.size() == 2) runner.loop().post([&] { write->abort("given up"); });
  };
  const auto result = run(100);
  ASSERT_FALSE(result.result);
  EXPECT_EQ(result.result.error().kind(), ErrorKind::cancelled);
  EXPECT_FALSE(result.volume_lost);
  EXPECT_FALSE(result.unreadable);
  const auto parts = desk.parts.size();
  const auto asked = desk.asked;
  loop::turn_loop(runner.loop(), 20, [&] { runner.loop().stop(); });
  runner.loop().run();
  EXPECT_EQ(desk.parts.size(), parts);
  EXPECT_EQ(desk.asked, asked);
}

TEST_F(ImageWriteTest, AbortedOrDestroyedWhileItWaitsForAVolume) {
  hold(noise(2'000'000));
  for (const bool destroyed : {false, true}) {
    desk.parts.clear();
    desk.asked = 0;
    outcome.reset();
    make_volumes(3, 900);
    desk.on_asked = [&] {
      if (!destroyed) return write->abort("given up");
      runner.loop().post([&] {
        write.reset();
        loop::turn_loop(runner.loop(), 20, [&] { runner.loop().stop(); });
      });
    };
    start(200);
    runner.loop().run();
    EXPECT_EQ(outcome.has_value(), !destroyed);
    EXPECT_EQ(desk.asked, 1);
    desk.volumes.clear();
  }
}

}  // namespace
}  // namespace headrace::drive
