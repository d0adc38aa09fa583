// What the tests of restoring need: a copy of what real Amanda left, and dumps made up beside it. Tests only.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "compat/index_file.h"
#include "compat/run_log.h"
#include "compat/tapelist.h"
#include "config/load.h"
#include "server/recover/restore.h"
#include "server/recover/test_lab.h"
#include "server/recover/volumes.h"
#include "wire/dump_header.h"

namespace headrace::recover {

namespace fs = std::filesystem;

inline const std::string kHost = "client.lab";
inline const std::string kDisk = "/tmp/lab/med/data1";
inline constexpr uint64_t kHeader = 32768;

inline std::string content(const fs::path& file) { return base::read_file(file).value_or("(no file)"); }
inline void put(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}
// What a shell command prints; the test's own tools, not what is tested.
inline std::string output_of(const std::string& command) {
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
  void other_copy(const catalog::Image& failed, const base::Error& why, const catalog::Image& next,
                  Again again) override {
    changes.push_back({failed.storage, why.what(), next.storage, again});
  }
  struct Change {
    std::string from, why, to;
    Again again;
  };
  std::vector<Change> changes;
  std::vector<std::string> places, messages;
  uint64_t last_moved = 0;
  int checked_images = 0;
};

// A copy of what real Amanda left: a vtape with level 0, a holding disk with level 1, logs, indexes. `data`
// is HEADRACE_TEST_DATA, which sources alone know.
class RestoreFixture : public ::testing::Test {
 protected:
  explicit RestoreFixture(const fs::path& data) : copy(data), root(copy.root()), out(root / "out") {
    for (const char* slot : {"slot2", "slot3"}) fs::create_directory(root / "vtapes" / slot);
  }

  config::ServerConfig configuration() const {
    auto loaded = config::load_server_text(copy.configuration(), root / "lab");
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
    std::string suffix = {};
    size_t part_bytes = 0;
    std::vector<std::pair<int, std::string>> slots;  // slot and label, each takes two parts
    bool with_crcs = true;
    std::string program = "/bin/tar";
    std::string decoder = {};
    std::string stamp = "20261124010000";
    int level = 0;
    std::string storage = "lab";
    std::string written = {};  // by which run; the dump's own when empty
  };
  void make(const Made& made) {
    const std::string& stamp = made.stamp;
    const std::string& written = made.written.empty() ? made.stamp : made.written;
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
        start.timestamp = written;
        start.label = label;
        put(directory / ("00000." + label), wire::encode_header(start).value());
        log += compat::format(compat::TapeStartLine{written, made.storage, made.storage, label, 1});
        EXPECT_TRUE(compat::update_tapelist(root / "tapelist", [&](compat::Tapelist& list) {
          compat::TapelistEntry entry;
          entry.timestamp = written;
          entry.label = label;
          return list.add(entry);
        }));
      }
      header.part = ++part;
      const std::string data = made.stored.substr(at, made.part_bytes);
      put(directory / ("0000" + std::to_string(fileno) + ".x"), wire::encode_header(header).value() + data);
      log += compat::format(compat::PartLine{false, made.storage, made.storage, label, fileno, kHost,
                                             made.disk, stamp, part, -1, made.level,
                                             compat::TaperStats::of(1, data.size(), 10)});
    }
    done.storage = done.pool = made.storage;
    done.host = kHost;
    done.disk = made.disk;
    done.level = made.level;
    done.timestamp = stamp;
    done.parts = part;
    done.stats = compat::TaperStats::of(1, made.stored.size(), 10);
    put(root / "log" / ("log." + written + ".0"), log + compat::format(done));
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

  LabCopy copy;
  fs::path root, out;
  config::ServerConfig config;
  Recorder recorder;
  void SetUp() override { config = configuration(); }
};

}  // namespace headrace::recover
