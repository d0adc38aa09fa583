#include "server/hold/scan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "server/hold/date_directory.h"
#include "server/hold/test_support.h"

namespace headrace::hold {
namespace {

namespace fs = std::filesystem;
using Fate = Recovered::Fate;

class ScanTest : public ::testing::Test {
 protected:
  // An image as a writer leaves it: `.tmp` or named.
  void write_image(const std::string& disk, const std::string& text, bool finish, bool with_crc = false) {
    ChunkChain chain(sample_header(disk), kStamp, false);
    chain.add_room(room(dir_.path(), 1 << 20, 64));
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    ImageTotals totals;
    if (with_crc) {
      base::Crc32c crc;
      crc.add(base::as_bytes(text));
      totals.server_crc = crc.value();
    }
    if (!text.empty()) ASSERT_EQ(chain.write({&piece, 1}).bytes, text.size());
    if (finish || with_crc || text.empty()) ASSERT_TRUE(chain.finish(totals));
    if (!finish && (with_crc || text.empty())) put_tmp_back(disk);
  }
  // As a crash leaves it between the last header and the first name.
  void put_tmp_back(const std::string& disk) const { fs::rename(file(disk), with_tmp(file(disk))); }

  fs::path file(const std::string& disk) const {
    return dir_ / kStamp / image_file_name(key_of(sample_header(disk)));
  }
  Holdings scan_all() const { return scan(std::vector{dir_.path()}); }
  std::vector<Recovered> recover_all() const { return recover_leftovers(std::vector{dir_.path()}); }
  std::string data_of(const fs::path& path) {
    ImageReader reader(run_.loop(), path);
    return run_.read(reader).value_or("?");
  }

  TempDir dir_;
  LoopRunner run_;
};

TEST_F(ScanTest, ReadsWhatAmandaLeft) {
  const fs::path data = fs::path(HEADRACE_TEST_DATA) / "media/holding";
  const auto found = scan(std::vector{data});
  ASSERT_EQ(found.images.size(), 2U);
  EXPECT_TRUE(found.cruft.empty());
  const Image& image = found.images[0];
  EXPECT_EQ(key_of(image.header).text(), "client.lab:/tmp/lab/med/data1 20261123013208 level 1");
  EXPECT_EQ(image.data_bytes, 10240U);
  EXPECT_EQ(image.kib, 42U);
  EXPECT_EQ(image.header.server_crc.text(), "81548c96:10240");
  EXPECT_FALSE(image.partial);
  EXPECT_FALSE(image.leftover);
  base::Crc32c crc;
  crc.add(base::as_bytes(data_of(image.file)));
  EXPECT_EQ(crc.value(), image.header.server_crc);
}

TEST_F(ScanTest, FindsImagesTheirChunksAndCruft) {
  write_image("/a", noise(200000), true);
  write_image("/b", noise(10000), false);
  spill(dir_ / kStamp / "empty", "");
  spill(dir_ / kStamp / "junk", std::string(40000, 'x'));
  spill(dir_ / "notes.txt", "hello");
  fs::create_directory(dir_ / kStamp / "sub");
  fs::create_directory(dir_ / "lost+found");
  fs::create_directory(dir_ / "20261399000000");
  const auto found = scan_all();
  ASSERT_EQ(found.images.size(), 2U);
  EXPECT_EQ(found.images[0].chunks.size(), 7U);
  EXPECT_FALSE(found.images[0].leftover);
  EXPECT_TRUE(found.images[1].leftover);
  EXPECT_EQ(found.cruft.size(), 5U);
}

TEST_F(ScanTest, AMissingDiskIsSaid) {
  const auto found = scan(std::vector{dir_ / "nowhere"});
  ASSERT_EQ(found.cruft.size(), 1U);
  EXPECT_NE(found.cruft[0].why.find("nowhere"), std::string::npos);
}

TEST_F(ScanTest, ABrokenChainIsAPartialImageAndItsRestCruft) {
  write_image("/a", noise(200000), true);
  fs::remove(file("/a").native() + ".2");
  const auto found = scan_all();
  ASSERT_EQ(found.images.size(), 1U);
  EXPECT_TRUE(found.images[0].partial);
  EXPECT_FALSE(found.images[0].fault.empty());
  EXPECT_EQ(found.images[0].chunks.size(), 2U);
  EXPECT_EQ(found.cruft.size(), 4U);
}

TEST_F(ScanTest, ACrashAmidADumpLeavesAPartialImage) {
  const std::string text = noise(200000);
  write_image("/a", text, false);
  const auto recovered = recover_all();
  ASSERT_EQ(recovered.size(), 1U);
  EXPECT_EQ(recovered[0].fate, Fate::partial);
  EXPECT_EQ(recovered[0].file, file("/a"));
  EXPECT_NE(recovered[0].text().find("client.lab:/a"), std::string::npos);
  const auto found = scan_all();
  ASSERT_EQ(found.images.size(), 1U);
  EXPECT_TRUE(found.images[0].partial);
  EXPECT_FALSE(found.images[0].leftover);
  EXPECT_TRUE(found.images[0].fault.empty());
  EXPECT_TRUE(data_of(file("/a")) == text);
  EXPECT_TRUE(recover_all().empty());
}

TEST_F(ScanTest, ACrashAmidRenamingLosesNothing) {
  const std::string text = noise(200000);
  write_image("/a", text, false, true);
  const auto recovered = recover_all();
  ASSERT_EQ(recovered.size(), 1U);
  EXPECT_EQ(recovered[0].fate, Fate::completed);
  const auto found = scan_all();
  EXPECT_FALSE(found.images[0].partial);
  EXPECT_TRUE(data_of(file("/a")) == text);
}

TEST_F(ScanTest, ALeftoverWhoseDataDoNotMatchIsPartial) {
  write_image("/a", noise(200000), false, true);
  const base::Fd fd = base::Fd(::open((file("/a").native() + ".1").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "!", 1, 40000), 1);
  EXPECT_EQ(recover_all().at(0).fate, Fate::partial);
}

TEST_F(ScanTest, ALeftoverWithoutDataIsDeletedWithItsDirectory) {
  write_image("/a", "", false);
  EXPECT_EQ(recover_all().at(0).fate, Fate::deleted);
  EXPECT_FALSE(fs::exists(dir_ / kStamp));
}

TEST_F(ScanTest, ALostChunkEndsALeftover) {
  const std::string text = noise(200000);
  write_image("/a", text, false);
  fs::remove(file("/a").native() + ".3.tmp");
  const auto recovered = recover_all();
  EXPECT_EQ(recovered.at(0).fate, Fate::partial);
  EXPECT_FALSE(recovered[0].why.empty());
  EXPECT_TRUE(data_of(file("/a")) == text.substr(0, 3 * 32768));
}

TEST_F(ScanTest, DeletesAnImageAndItsEmptyDirectory) {
  write_image("/a", noise(200000), true);
  write_image("/b", noise(1000), true);
  auto found = scan_all();
  ASSERT_TRUE(delete_image(found.images[0]));
  EXPECT_EQ(scan_all().images.size(), 1U);
  ASSERT_TRUE(delete_image(found.images[1]));
  EXPECT_FALSE(fs::exists(dir_ / kStamp));
}

TEST(IsDateName, TakesPlausibleDatesOnly) {
  for (const char* good : {"20261123", "20261123013208", "19900101000000"})
    EXPECT_TRUE(is_date_name(good)) << good;
  for (const char* bad : {"", "2026112", "20261323", "20261132", "20261123246000", "2026112301320x",
                          "21010101", "lost+found", "202611230132081"}) {
    EXPECT_FALSE(is_date_name(bad)) << bad;
  }
}

pid_t dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  int status = 0;
  ::waitpid(child, &status, 0);
  return child;
}

TEST_F(ScanTest, ADirectoryBelongsToTheLiveProcessInItsPidFile) {
  const fs::path directory = dir_ / kStamp;
  EXPECT_EQ(owner_of(directory).who, DateOwner::Who::nobody);
  ASSERT_TRUE(claim(directory));
  EXPECT_EQ(owner_of(directory).who, DateOwner::Who::us);
  EXPECT_EQ(slurp(directory / "pid"), std::to_string(::getpid()));
  ASSERT_TRUE(claim(directory));
  // Process 1 lives and is neither us nor our parent, unless the test runs as its child.
  if (::getppid() == 1) GTEST_SKIP() << "our parent is process 1";
  spill(directory / "pid", "1\n");
  EXPECT_EQ(owner_of(directory).who, DateOwner::Who::other);
  EXPECT_EQ(claim(directory).error().kind(), base::ErrorKind::again);
  write_image("/a", noise(1000), false);
  EXPECT_TRUE(scan_all().images.empty());
  EXPECT_EQ(scan_all().not_ours.size(), 1U);
  EXPECT_TRUE(recover_all().empty());
  ASSERT_TRUE(leave(directory));
  EXPECT_TRUE(fs::exists(directory / "pid"));
}

TEST_F(ScanTest, ADeadProcessOwnsNothing) {
  const fs::path directory = dir_ / kStamp;
  spill(directory / "pid", std::to_string(dead_process()));
  EXPECT_EQ(owner_of(directory).who, DateOwner::Who::nobody);
  ASSERT_TRUE(claim(directory));
  EXPECT_EQ(owner_of(directory).pid, ::getpid());
  ASSERT_TRUE(leave(directory));
  EXPECT_FALSE(fs::exists(directory));
}

// One that is not mounted, say.
TEST_F(ScanTest, AHoldingDiskThatIsNotThereIsNotMadeAnew) {
  const fs::path disk = dir_ / "gone";
  const auto claimed = claim(disk / kStamp);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().sys_errno(), ENOENT);
  EXPECT_FALSE(fs::exists(disk));
  spill(disk, "a file");
  EXPECT_EQ(claim(disk / kStamp).error().sys_errno(), ENOTDIR);
}

TEST_F(ScanTest, HostileChunksAreCruft) {
  const auto directory = dir_ / kStamp;
  spill(directory / "short", "AMANDA: FILE");
  std::string text = "AMANDA: FILE 20261123013208 host /disk  lev 99999999999999 comp N program x\n\f\n";
  text.resize(32768 + 10);
  spill(directory / "level", text);
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  fs::create_symlink("/etc/passwd", directory / "link");
  const auto found = scan_all();
  EXPECT_TRUE(found.images.empty());
  EXPECT_EQ(found.cruft.size(), 4U);
}

}  // namespace
}  // namespace headrace::hold
