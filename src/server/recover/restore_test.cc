#include "server/recover/restore.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "compat/index_file.h"
#include "compat/run_log.h"
#include "compat/tapelist.h"
#include "config/load.h"
#include "server/recover/filters.h"
#include "server/recover/volumes.h"
#include "wire/dump_header.h"

namespace headrace::recover {
namespace {

namespace fs = std::filesystem;

const fs::path kLab = fs::path(HEADRACE_TEST_DATA) / "compat/lab";
const std::string kHost = "client.lab";
const std::string kDisk = "/tmp/lab/med/data1";
constexpr uint64_t kHeader = 32768;

std::string content(const fs::path& file) { return base::read_file(file).value_or("(no file)"); }
void put(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}
// What a shell command prints; the test's own tools, not what is tested.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; pipe != nullptr && (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

struct Recorder final : Progress {
  void reading(const catalog::Image&, const std::string& place) override { places.push_back(place); }
  void moved(uint64_t bytes) override { last_moved = bytes; }
  void message(const std::string& line) override { messages.push_back(line); }
  void restored(const catalog::Image&, bool checked) override { checked_images += checked ? 1 : 0; }
  std::vector<std::string> places, messages;
  uint64_t last_moved = 0;
  int checked_images = 0;
};

// A copy of what real Amanda left: a vtape with level 0, a holding disk with level 1, logs, indexes.
class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() {
    char name[] = "/tmp/headrace-restore-XXXXXX";
    root = ::mkdtemp(name);
    fs::copy(kLab, root, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    for (const char* slot : {"slot2", "slot3"}) fs::create_directory(root / "vtapes" / slot);
    out = root / "out";
  }
  ~RestoreTest() override { fs::remove_all(root); }

  config::ServerConfig configuration() const {
    std::string text = content(kLab / "amanda.conf");
    for (const auto& [from, to] :
         {std::pair<std::string, std::string>{"/tmp/lab/med/state/", root.string() + "/"},
          {"/tmp/lab/med/", root.string() + "/"},
          {"/etc/amanda/lab/", root.string() + "/"}}) {
      for (size_t at; (at = text.find(from)) != std::string::npos;) text.replace(at, from.size(), to);
    }
    auto loaded = config::load_server_text(text, root / "lab");
    EXPECT_TRUE(loaded.ok()) << config::errors_text(loaded.diagnostics);
    return loaded.ok() ? *loaded : config::ServerConfig{};
  }
  catalog::Catalog load() {
    auto loaded = catalog::load(catalog::Sources::of(config));
    EXPECT_TRUE(loaded) << loaded.error().what();
    return loaded ? *loaded : catalog::Catalog{};
  }
  std::vector<catalog::Image> chain(const std::string& host, const std::string& disk,
                                    const std::string& at = "") {
    auto found = load().chain(host, disk, at);
    EXPECT_TRUE(found) << found.error().what();
    return found.value_or(std::vector<catalog::Image>{});
  }

  base::Result<RestoreSummary> run(RestoreRequest request) {
    base::Result<RestoreSummary> result = base::fail(base::ErrorKind::gone, "never ended");
    auto loop = loop::make_loop(2);
    {
      Restore restore(*loop, config, std::move(request), recorder);
      restore.start([&](base::Result<RestoreSummary> outcome) {
        result = std::move(outcome);
        loop->stop();
      });
      const auto guard = loop->after(std::chrono::seconds(50), [&] { loop->stop(); });
      loop->run();
    }
    return result;
  }
  base::Result<RestoreSummary> restore(std::vector<catalog::Image> images,
                                       std::vector<std::string> paths = {}) {
    EXPECT_TRUE(check_target(out, true));
    return run({.images = std::move(images),
                .indexdir = config.globals.indexdir,
                .to = out,
                .paths = std::move(paths)});
  }
  void expect_damaged(const std::vector<catalog::Image>& images, const std::string& part_of_sentence) {
    const auto result = restore(images);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind(), base::ErrorKind::corrupt) << result.error().what();
    EXPECT_NE(result.error().what().find(part_of_sentence), std::string::npos) << result.error().what();
  }
  static void flip(const fs::path& file, uint64_t at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(stream.get() ^ 0x40);
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(byte);
  }

  // Writes a dump of `disk` as parts over volumes with one part size, as a run of ours or Amanda's would.
  struct Made {
    std::string disk;
    std::string stored, native;
    std::string suffix;
    size_t part_bytes = 0;
    std::vector<std::pair<int, std::string>> slots;  // slot and label, each takes two parts
    bool with_crcs = true;
    std::string program = "/bin/tar";
    std::string decoder = {};
    std::string stamp = "20261124010000";
    int level = 0;
  };
  void make(const Made& made) {
    const std::string& stamp = made.stamp;
    wire::DumpHeader header;
    header.type = wire::DumpHeader::Type::split_file;
    header.timestamp = stamp;
    header.host = kHost;
    header.disk = made.disk;
    header.level = made.level;
    header.compress_suffix = made.suffix;
    header.program = made.program;
    header.server_compress_program = made.decoder;
    base::Crc32c stored;
    base::Crc32c native;
    stored.add(base::as_bytes(made.stored));
    native.add(base::as_bytes(made.native));
    compat::TapedLine done;
    if (made.with_crcs) done.crcs = compat::TapedCrcs{native.value(), stored.value(), stored.value()};
    std::string log;
    int part = 0;
    for (size_t at = 0; at < made.stored.size(); at += made.part_bytes) {
      const auto& [slot, label] = made.slots[static_cast<size_t>(part) / 2];
      const fs::path directory = root / "vtapes" / ("slot" + std::to_string(slot));
      const int fileno = part % 2 + 1;
      if (fileno == 1) {
        wire::DumpHeader start;
        start.type = wire::DumpHeader::Type::tapestart;
        start.timestamp = stamp;
        start.label = label;
        put(directory / ("00000." + label), wire::encode_header(start).value());
        log += compat::format(compat::TapeStartLine{stamp, "lab", "lab", label, 1});
        EXPECT_TRUE(compat::update_tapelist(root / "tapelist", [&](compat::Tapelist& list) {
          compat::TapelistEntry entry;
          entry.timestamp = stamp;
          entry.label = label;
          return list.add(entry);
        }));
      }
      header.part = ++part;
      const std::string data = made.stored.substr(at, made.part_bytes);
      put(directory / ("0000" + std::to_string(fileno) + ".x"), wire::encode_header(header).value() + data);
      log +=
          compat::format(compat::PartLine{false, "lab", "lab", label, fileno, kHost, made.disk, stamp, part,
                                          -1, made.level, compat::TaperStats::of(1, data.size(), 10)});
    }
    done.storage = done.pool = "lab";
    done.host = kHost;
    done.disk = made.disk;
    done.level = made.level;
    done.timestamp = stamp;
    done.parts = part;
    done.stats = compat::TaperStats::of(1, made.stored.size(), 10);
    put(root / "log" / ("log." + stamp + ".0"), log + compat::format(done));
  }
  // A tree whose archive is some hundred KiB, and the archive.
  std::string archive() {
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (int line = 0; line < 800; ++line) text += std::to_string(line * 7919 + i) + "\n";
      put(root / "tree" / ("d" + std::to_string(i % 3)) / ("f" + std::to_string(i)), text);
    }
    return output_of("tar -C " + (root / "tree").string() +
                     " --listed-incremental=" + (root / "snapshot").string() + " -cf - .");
  }
  std::string gzipped(const std::string& text) {
    put(root / "plain", text);
    return output_of("gzip -c " + (root / "plain").string());
  }
  void expect_tree() { EXPECT_EQ(output_of("diff -r " + (root / "tree").string() + " " + out.string()), ""); }

  fs::path root, out;
  config::ServerConfig config;
  Recorder recorder;
  void SetUp() override { config = configuration(); }
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

TEST_F(RestoreTest, DamagedByteOnAVolume) {
  flip(root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0", kHeader + 2000);
  expect_damaged(chain(kHost, kDisk), "It was read from volume VTAPE-001 (file 2)");
}

TEST_F(RestoreTest, DamagedByteOnAHoldingDisk) {
  flip(root / "holding/20261123013208/client.lab._tmp_lab_med_data1.1", kHeader + 2000);
  expect_damaged(chain(kHost, kDisk), "It was read from holding file ");
}

TEST_F(RestoreTest, DamagedCompressedStream) {
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

TEST_F(RestoreTest, RightStreamOfAWrongArchive) {
  const std::string native = archive();
  make({.disk = "/t",
        .stored = gzipped(native),
        .native = native + "x",
        .suffix = ".gz",
        .part_bytes = 200000,
        .slots = {{2, "VTAPE-002"}}});
  expect_damaged(chain(kHost, "/t"), "its archive has the checksum");
}

TEST_F(RestoreTest, TruncatedPart) {
  fs::resize_file(root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0", kHeader + 9000);
  expect_damaged(chain(kHost, kDisk),
                 "DAMAGED: file 2 of volume VTAPE-001 ends after 9000 bytes of the 10240 that were written");
}

TEST_F(RestoreTest, LongerPartButForATapesPadding) {
  const fs::path part = root / "vtapes/slot1/00002.client.lab._tmp_lab_med_data1.0";
  fs::resize_file(part, kHeader + 10240 + 500);
  const auto padded = restore(chain(kHost, kDisk));
  EXPECT_TRUE(padded) << padded.error().what();
  flip(part, kHeader + 10240 + 100);
  expect_damaged(chain(kHost, kDisk), "has more than the 10240 bytes that were written");
}

TEST_F(RestoreTest, MissingPart) {
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

TEST_F(RestoreTest, AnotherDumpInTheFile) {
  const fs::path slot = root / "vtapes/slot1";
  fs::rename(slot / "00001.client.lab._tmp_lab_med_data2.0", slot / "00002.other");
  fs::remove(slot / "00002.client.lab._tmp_lab_med_data1.0");
  expect_damaged(chain(kHost, kDisk), "its header says part 1 of client.lab:/tmp/lab/med/data2");
}

TEST_F(RestoreTest, WrongLabel) {
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

TEST_F(RestoreTest, VolumeThatIsNotThere) {
  fs::rename(root / "vtapes/slot1", root / "shelf");
  fs::create_directory(root / "vtapes/slot1");
  const auto result = restore(chain(kHost, kDisk));
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().what().starts_with("volume VTAPE-001 is in no slot of any changer"))
      << result.error().what();
}

// What was seen in the slots is remembered; volumes are moved while a restore goes on.
TEST_F(RestoreTest, AVolumeThatWasPutIntoAnotherSlotIsFoundAgain) {
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

TEST_F(RestoreTest, VolumesAreLookedForBeforeAnythingIsWritten) {
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
class OddDecoder : public RestoreTest, public ::testing::WithParamInterface<const char*> {};

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

TEST(Filters, DecodersByHeader) {
  wire::DumpHeader header;
  EXPECT_TRUE(decoders(header)->empty());
  header.compress_suffix = ".gz";
  header.encrypted = true;
  header.server_encrypt_program = "/usr/sbin/amcrypt";
  header.server_decrypt_option = "-D";
  auto commands = decoders(header);
  ASSERT_TRUE(commands);
  ASSERT_EQ(commands->size(), 2U);
  EXPECT_EQ((*commands)[0].text(), "/usr/sbin/amcrypt -D");
  EXPECT_EQ((*commands)[1].text(), "gzip -dc");
  header.server_encrypt_program.clear();
  EXPECT_FALSE(decoders(header)) << "encrypted, nobody knows how";
  header.encrypted = false;
  header.compress_suffix = "cust";
  EXPECT_FALSE(decoders(header));
  header.client_compress_program = "/usr/bin/pigz";
  EXPECT_EQ(decoders(header)->front().text(), "/usr/bin/pigz -d");
  header.client_compress_program = "pigz; rm -rf /";
  EXPECT_FALSE(decoders(header)) << "no path to a program";
}

}  // namespace
}  // namespace headrace::recover
