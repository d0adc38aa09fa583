// What several tests of this room need: a directory of their own, headers, a driver of writes. Tests only.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <string>

#include "loop/loop.h"
#include "loop/test_loop.h"
#include "server/hold/image_reader.h"
#include "server/hold/image_writer.h"
#include "wire/dump_header.h"

namespace headrace::hold {

class TempDir {
 public:
  TempDir() {
    std::string pattern = ::testing::TempDir() + "hold.XXXXXX";
    HEADRACE_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline constexpr const char* kStamp = "20261123013208";

inline wire::DumpHeader sample_header(const std::string& disk = "/srv/data") {
  wire::DumpHeader header;
  header.type = wire::DumpHeader::Type::file;
  header.timestamp = kStamp;
  header.host = "client.lab";
  header.disk = disk;
  header.level = 1;
  header.part = 1;
  header.program = "/bin/tar";
  header.recover_command = "/bin/tar -xpGf - ...";
  header.dle_xml = "<dle>\n  <disk>/srv/data</disk>\n</dle>\n";
  return header;
}

inline std::string noise(size_t size, unsigned seed = 7) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void spill(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// Names of everything below a directory, sorted, relative; with "…" when a worker changed it meanwhile.
inline std::vector<std::string> tree(const std::filesystem::path& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(root, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    if (!entry->is_directory(gone)) names.push_back(entry->path().lexically_relative(root).native());
  }
  if (error) names.emplace_back("…");
  std::ranges::sort(names);
  return names;
}

// Answers with the rooms it has, at once or after a turn of the loop; remembers what it was told.
class TestSpace : public SpaceSource {
 public:
  void more_room_wanted() override {
    ++wanted;
    if (on_wanted) on_wanted();
  }
  void disk_full(DiskIndex disk, uint64_t used_kib) override { full.push_back({disk, used_kib}); }

  int wanted = 0;
  std::vector<Piece> full;
  std::function<void()> on_wanted;
};

inline Room room(const std::filesystem::path& directory, uint64_t kib, uint64_t chunk_kib = 0,
                 DiskIndex disk = 0) {
  return {disk, directory, chunk_kib * base::kKiB, kib * base::kKiB};
}

// A loop that runs until told, and fails the test when that takes too long.
class LoopRunner {
 public:
  loop::Loop& loop() { return *loop_; }

  // Writes all; the outcome is an error's kind when the writer fails.
  base::Result<> write(loop::Writable& to, const std::string& text, size_t piece = 100000) {
    base::Result<> outcome;
    size_t at = 0;
    std::function<void()> go_on = [&] {
      while (at < text.size()) {
        const iovec offer{const_cast<char*>(text.data()) + at, std::min(piece, text.size() - at)};
        const auto put = to.write({&offer, 1});
        if (put.state == loop::IoState::wait) {
          to.await_writable([&] { go_on(); });
          return;
        }
        if (put.state != loop::IoState::moved) {
          outcome = std::unexpected(to.error());
          break;
        }
        at += put.bytes;
      }
      loop_->stop();
    };
    loop_->post([&] { go_on(); });
    run();
    return outcome;
  }

  base::Result<> finish(loop::Writable& to) {
    base::Result<> outcome;
    to.finish([&](base::Result<> result) {
      outcome = std::move(result);
      loop_->stop();
    });
    run();
    return outcome;
  }

  base::Result<std::string> read(loop::Readable& from) {
    std::string text;
    std::vector<std::byte> buffer(70000);
    base::Result<> outcome;
    std::function<void()> go_on = [&] {
      for (;;) {
        const auto got = from.read(buffer);
        if (got.state == loop::IoState::wait) {
          from.await_readable([&] { go_on(); });
          return;
        }
        if (got.state == loop::IoState::failed) outcome = std::unexpected(from.error());
        if (got.state != loop::IoState::moved) break;
        text += base::as_text(std::span(buffer).first(got.bytes));
      }
      loop_->stop();
    };
    loop_->post([&] { go_on(); });
    run();
    if (!outcome) return std::unexpected(outcome.error());
    return text;
  }

  void run() { loop_->run(); }
  // Waits for works of a lane of its own and goes round a few times: for things nobody reports.
  void settle() {
    loop::turn_loop(*loop_, 20, [this] { loop_->stop(); });
    run();
  }
  // Runs until detached work behind `writer` has been done: nothing reports it, so its effect is awaited.
  void run_until(const std::function<bool()>& there) {
    std::function<void()> look = [&] {
      if (there()) {
        loop_->stop();
      } else {
        loop_->post([&] { look(); });
      }
    };
    loop_->post([&] { look(); });
    run();
  }

 private:
  std::unique_ptr<loop::Loop> loop_ = loop::make_loop(2);
  std::unique_ptr<loop::Timer> deadline_ = loop::end_test_after_deadline(*loop_);
};

}  // namespace headrace::hold
