// What several tests of this room need: a directory with slots, headers, owners that answer. Tests only.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "loop/test_loop.h"
#include "server/volume/part_reader.h"
#include "server/volume/part_writer.h"
#include "server/volume/vtape/vtape_changer.h"
#include "wire/dump_header.h"

namespace headrace::volume {

inline constexpr const char* kStamp = "20261123013208";

class TempDir {
 public:
  TempDir() {
    std::string pattern = ::testing::TempDir() + "volume.XXXXXX";
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

inline iovec piece_of(const std::string& text) { return {const_cast<char*>(text.data()), text.size()}; }

inline wire::DumpHeader sample_header(const std::string& disk = "/srv/data") {
  wire::DumpHeader header;
  header.type = wire::DumpHeader::Type::split_file;
  header.timestamp = kStamp;
  header.host = "client.lab";
  header.disk = disk;
  header.level = 1;
  header.part = 1;
  header.program = "/bin/tar";
  header.recover_command = "/bin/tar -xpGf - ...";
  return header;
}

inline DumpId sample_id(const std::string& disk = "/srv/data") { return id_of(sample_header(disk)); }

// A chg-disk directory with slots 1…n.
class SlotDirectory {
 public:
  explicit SlotDirectory(int slots, vtape::VtapeLimits limits = {}) {
    settings_.root = dir_.path();
    settings_.make_slots = slots;
    settings_.limits = limits;
    settings_.user = {"daily", "daily", "vtapes"};
    settings_.lock_timeout = std::chrono::milliseconds(20);
    changer_ = std::make_unique<vtape::VtapeChanger>(settings_);
    HEADRACE_CHECK(changer_->inventory());
  }
  Changer& changer() { return *changer_; }
  const vtape::VtapeSettings& settings() const { return settings_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return dir_ / name; }

  // The volume of a slot, labelled before.
  std::shared_ptr<Volume> labelled(const std::string& slot, const std::string& label,
                                   const std::string& timestamp = kStamp) {
    auto volume = changer_->load(slot);
    EXPECT_TRUE(volume) << volume.error().what();
    EXPECT_TRUE((*volume)->write_label(label, timestamp));
    return std::shared_ptr<Volume>(std::move(*volume));
  }

 private:
  TempDir dir_;
  vtape::VtapeSettings settings_;
  std::unique_ptr<vtape::VtapeChanger> changer_;
};

// Gives the volumes it has in order, remembers what it is told.
class TestOwner : public PartOwner {
 public:
  void volume_wanted() override {
    ++wanted;
    if (on_wanted) on_wanted();
  }
  void part_done(const PartResult& part) override { parts.push_back(part); }

  // The good parts as places to read from.
  std::vector<PartPlace> places() const {
    std::vector<PartPlace> found;
    for (const PartResult& part : parts) {
      if (part.good) found.push_back({part.label, part.file, part.part});
    }
    return found;
  }

  int wanted = 0;
  std::vector<PartResult> parts;
  std::function<void()> on_wanted;
};

// A loop that runs until told, and fails the test when that takes too long.
class LoopRunner {
 public:
  loop::Loop& loop() { return *loop_; }

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
    loop_->run();
    return outcome;
  }

  base::Result<> finish(loop::Writable& to) {
    base::Result<> outcome;
    to.finish([&](base::Result<> result) {
      outcome = std::move(result);
      loop_->stop();
    });
    loop_->run();
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
    loop_->run();
    if (!outcome) return std::unexpected(outcome.error());
    return text;
  }

  // Runs until detached work has had its effect, which nothing else reports.
  void run_until(const std::function<bool()>& there) {
    std::function<void()> look = [&] {
      if (there()) {
        loop_->stop();
      } else {
        loop_->post([&] { look(); });
      }
    };
    loop_->post([&] { look(); });
    loop_->run();
  }

 private:
  std::unique_ptr<loop::Loop> loop_ = loop::make_loop(2);
  std::unique_ptr<loop::Timer> deadline_ = loop::end_test_after_deadline(*loop_);
};

}  // namespace headrace::volume
