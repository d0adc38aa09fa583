#include "server/hold/image_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "server/hold/scan.h"
#include "server/hold/test_support.h"

namespace headrace::hold {
namespace {

using base::ErrorKind;

class ImageWriterTest : public ::testing::Test {
 protected:
  std::unique_ptr<ImageWriter> make(std::vector<Room> rooms) {
    for (const auto& it : rooms) std::filesystem::create_directories(it.directory);
    return std::make_unique<ImageWriter>(run_.loop(), sample_header(), std::move(rooms), space_,
                                         ImageWriter::Options{});
  }
  std::filesystem::path file(const std::string& suffix = "") const {
    return dir_ / kStamp / ("client.lab._srv_data.1" + suffix);
  }
  static wire::DumpHeader header_of(const std::filesystem::path& path) {
    auto chunk = open_chunk(path, O_RDONLY);
    EXPECT_TRUE(chunk) << chunk.error().what();
    return chunk ? chunk->header : wire::DumpHeader();
  }
  static mode_t mode_of(const std::filesystem::path& path) {
    struct stat st{};
    EXPECT_EQ(::stat(path.c_str(), &st), 0);
    return st.st_mode & 0777;
  }

  LoopRunner run_;
  TempDir dir_;
  TestSpace space_;
};

// Limits the size of files while it stands: what a full disk looks like, without needing one.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    before_action_ = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~SmallFiles() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, before_action_);
  }

 private:
  rlimit before_{};
  sighandler_t before_action_ = nullptr;
};

TEST_F(ImageWriterTest, WritesTmpThenNamesTheImageWithItsTotals) {
  const std::string text = noise(250000);
  auto writer = make({room(dir_.path(), 1000)});
  ASSERT_TRUE(run_.write(*writer, text));
  EXPECT_EQ(tree(dir_.path()),
            (std::vector<std::string>{std::string(kStamp) + "/client.lab._srv_data.1.tmp"}));
  EXPECT_EQ(mode_of(file(".tmp")), 0600U);
  EXPECT_EQ(mode_of(dir_ / kStamp), 0700U);
  EXPECT_EQ(writer->data_bytes(), text.size());

  ImageTotals totals;
  totals.orig_size_kib = 250;
  totals.native_crc = {0x12345678, 256000};
  totals.server_crc = {0x9abcdef0, 250000};
  writer->set_totals(totals);
  ASSERT_TRUE(run_.finish(*writer));
  EXPECT_EQ(writer->first_path(), file());
  const std::string content = slurp(file());
  EXPECT_EQ(content.size(), 32768U + text.size());
  EXPECT_TRUE(content.ends_with(text));
  const auto header = header_of(file());
  EXPECT_EQ(header.orig_size_kib, 250U);
  EXPECT_EQ(header.native_crc, totals.native_crc);
  EXPECT_EQ(header.server_crc, totals.server_crc);
  EXPECT_FALSE(header.client_crc.known());
  EXPECT_FALSE(header.partial);
  EXPECT_EQ(writer->used(), (std::vector<Piece>{{0, 32 + 245}}));
  writer.reset();
  EXPECT_EQ(tree(dir_.path()).size(), 1U);
}

TEST_F(ImageWriterTest, ChunksHaveTheirSizeWithHeaderAndLeadToTheNext) {
  const std::string text = noise(3 * 1048576);
  auto writer = make({room(dir_.path(), 4096, 1024)});
  ASSERT_TRUE(run_.write(*writer, text, 333333));
  ASSERT_TRUE(run_.finish(*writer));
  EXPECT_EQ(std::filesystem::file_size(file()), 1048576U);
  EXPECT_EQ(std::filesystem::file_size(file(".1")), 1048576U);
  EXPECT_EQ(std::filesystem::file_size(file(".3")), 4U * 32768U);
  EXPECT_EQ(header_of(file()).cont_filename, file(".1").native());
  EXPECT_EQ(header_of(file(".2")).cont_filename, file(".3").native());
  EXPECT_EQ(header_of(file(".3")).cont_filename, "");
  EXPECT_EQ(header_of(file(".1")).type, wire::DumpHeader::Type::cont_file);
  EXPECT_EQ(header_of(file(".1")).dle_xml, sample_header().dle_xml);
  ImageReader reader(run_.loop(), file());
  EXPECT_TRUE(run_.read(reader).value() == text);
}

TEST_F(ImageWriterTest, GoesOnOnAnotherDiskWhenItsRoomIsUsedUp) {
  const std::string text = noise(200 * 1024);
  const auto second = dir_ / "second";
  auto writer = make({room(dir_ / "first", 132, 0, 0), room(second, 200, 0, 1)});
  ASSERT_TRUE(run_.write(*writer, text));
  ASSERT_TRUE(run_.finish(*writer));
  EXPECT_EQ(writer->used(), (std::vector<Piece>{{0, 132}, {1, 132}}));
  EXPECT_TRUE(std::filesystem::exists(second / kStamp / "client.lab._srv_data.1.1"));
  EXPECT_TRUE(space_.full.empty());
  ImageReader reader(run_.loop(), writer->first_path());
  EXPECT_TRUE(run_.read(reader).value() == text);
}

TEST_F(ImageWriterTest, AsksForMoreRoomAndWaitsForTheAnswer) {
  const std::string text = noise(400 * 1024);
  auto writer = make({room(dir_.path(), 64)});
  space_.on_wanted = [&] {
    // Every second answer comes at once, the others a turn later.
    if (space_.wanted % 2 == 0) {
      writer->grant(room(dir_.path(), 64));
    } else {
      run_.loop().post([&] { writer->grant(room(dir_.path(), 64)); });
    }
  };
  ASSERT_TRUE(run_.write(*writer, text));
  ASSERT_TRUE(run_.finish(*writer));
  EXPECT_GE(space_.wanted, 5);
  // More room on the same disk needs no further chunk.
  EXPECT_EQ(tree(dir_.path()).size(), 1U);
  ImageReader reader(run_.loop(), writer->first_path());
  EXPECT_TRUE(run_.read(reader).value() == text);
}

TEST_F(ImageWriterTest, WithoutMoreRoomItFailsAndCanBeKeptInPart) {
  const std::string text = noise(400 * 1024);
  auto writer = make({room(dir_.path(), 132, 64)});
  space_.on_wanted = [&] { writer->refuse({ErrorKind::full, "no room on any holding disk"}); };
  const auto written = run_.write(*writer, text);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind(), ErrorKind::full);
  base::Result<> kept;
  writer->keep_partial([&](base::Result<> outcome) {
    kept = std::move(outcome);
    run_.loop().stop();
  });
  run_.run();
  ASSERT_TRUE(kept) << kept.error().what();
  for (const auto* suffix : {"", ".1"}) EXPECT_TRUE(header_of(file(suffix)).partial);
  ImageReader reader(run_.loop(), file());
  const auto got = run_.read(reader).value();
  EXPECT_EQ(got.size(), writer->data_bytes());
  EXPECT_TRUE(text.starts_with(got));
}

TEST_F(ImageWriterTest, ADiskFullInRealityIsLeftForTheNext) {
  const std::string text = noise(300 * 1024);
  auto writer = make({room(dir_ / "first", 1000, 0, 0), room(dir_ / "second", 1000, 0, 1)});
  std::filesystem::create_directories(dir_ / "third");
  space_.on_wanted = [&] { writer->grant(room(dir_ / "third", 1000, 0, 2)); };
  {
    const SmallFiles limit(150000);
    ASSERT_TRUE(run_.write(*writer, text));
  }
  ASSERT_TRUE(run_.finish(*writer));
  // 150000 bytes of file on each of the first two; the rest is on the third.
  EXPECT_EQ(space_.full, (std::vector<Piece>{{0, 147}, {1, 147}}));
  EXPECT_EQ(tree(dir_.path()).size(), 3U);
  ImageReader reader(run_.loop(), writer->first_path());
  EXPECT_TRUE(run_.read(reader).value() == text);
}

TEST_F(ImageWriterTest, AChunkWithoutRoomForDataIsTakenAway) {
  auto writer = make({room(dir_ / "first", 1000, 0, 0)});
  space_.on_wanted = [&] { writer->refuse({ErrorKind::full, "no room on any holding disk"}); };
  {
    const SmallFiles limit(32768);
    EXPECT_EQ(run_.write(*writer, "data").error().kind(), ErrorKind::full);
  }
  EXPECT_EQ(space_.full, (std::vector<Piece>{{0, 0}}));
  EXPECT_TRUE(tree(dir_.path()).empty());
}

TEST_F(ImageWriterTest, AbandonedItLeavesNothing) {
  auto writer = make({room(dir_.path(), 4096, 64)});
  ASSERT_TRUE(run_.write(*writer, noise(300000)));
  ASSERT_GT(tree(dir_.path()).size(), 5U);
  writer.reset();
  run_.run_until([&] { return tree(dir_.path()).empty(); });
}

TEST_F(ImageWriterTest, AbandonedAmidAWriteItUsesTheMemoryNoMore) {
  auto writer = make({room(dir_.path(), 1U << 20U)});
  auto text = std::make_unique<std::string>(noise(8 << 20));
  const iovec piece{text->data(), text->size()};
  ASSERT_EQ(writer->write({&piece, 1}).state, loop::IoState::wait);
  writer->abandon();
  text.reset();
  run_.run_until([&] { return tree(dir_.path()).empty(); });
  EXPECT_EQ(writer->write({&piece, 1}).state, loop::IoState::failed);
}

TEST_F(ImageWriterTest, NeverTouchesAnImageThatIsThere) {
  spill(file(), "precious");
  auto writer = make({room(dir_.path(), 1000)});
  const auto written = run_.write(*writer, "data");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind(), ErrorKind::refused);
  writer.reset();
  run_.settle();
  EXPECT_EQ(slurp(file()), "precious");
}

TEST_F(ImageWriterTest, AHeaderThatCannotBeWrittenIsAnError) {
  auto header = sample_header();
  header.host = "two words";
  ImageWriter writer(run_.loop(), header, {room(dir_.path(), 1000)}, space_, {});
  EXPECT_FALSE(run_.write(writer, "data"));
  EXPECT_TRUE(tree(dir_.path()).empty());
}

TEST_F(ImageWriterTest, ReadsFromAnOffset) {
  const std::string text = noise(300000);
  auto writer = make({room(dir_.path(), 4096, 96)});
  ASSERT_TRUE(run_.write(*writer, text));
  ASSERT_TRUE(run_.finish(*writer));
  for (const size_t offset :
       {size_t{1}, size_t{65536}, size_t{65537}, size_t{299999}, size_t{300000}, size_t{400000}}) {
    ImageReader reader(run_.loop(), file(), key_of(sample_header()), offset);
    EXPECT_TRUE(run_.read(reader).value() == text.substr(std::min(offset, text.size()))) << offset;
  }
}

TEST_F(ImageWriterTest, TheReaderRefusesAChunkOfAnotherImage) {
  auto writer = make({room(dir_.path(), 4096, 96)});
  ASSERT_TRUE(run_.write(*writer, noise(300000)));
  ASSERT_TRUE(run_.finish(*writer));
  ImageReader stranger(run_.loop(), file(), ImageKey{"other.lab", "/srv/data", 1, kStamp});
  EXPECT_EQ(run_.read(stranger).error().kind(), ErrorKind::corrupt);

  auto header = header_of(file(".2"));
  header.disk = "/srv/other";
  const auto chunk = open_chunk(file(".2"), O_RDWR);
  ASSERT_TRUE(write_chunk_header(chunk->fd.get(), header, file(".2")));
  ImageReader reader(run_.loop(), file());
  const auto got = run_.read(reader);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind(), ErrorKind::corrupt);
  EXPECT_NE(got.error().what().find("/srv/other"), std::string::npos);
}

TEST_F(ImageWriterTest, TheReaderEndsAChainThatBitesItsTail) {
  auto writer = make({room(dir_.path(), 4096, 96)});
  ASSERT_TRUE(run_.write(*writer, noise(150000)));
  ASSERT_TRUE(run_.finish(*writer));
  auto header = header_of(file(".2"));
  header.cont_filename = file(".1");
  const auto chunk = open_chunk(file(".2"), O_RDWR);
  ASSERT_TRUE(write_chunk_header(chunk->fd.get(), header, file(".2")));
  const auto image = read_image(file());
  ASSERT_TRUE(image);
  EXPECT_TRUE(image->partial);
  EXPECT_NE(image->fault.find("comes back"), std::string::npos);
}

}  // namespace
}  // namespace headrace::hold
