#include "server/recover/image_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "server/hold/image_reader.h"

namespace headrace::recover {
namespace {

using base::ErrorKind;
using base::Result;
using wire::DumpHeader;

std::string described(const DumpHeader& header) {
  return fmt::format("part {} of {}:{} of {} level {}", header.part, header.host, header.disk,
                     header.timestamp, header.level);
}

class VolumeSource final : public ImageSource {
 public:
  VolumeSource(Volumes& volumes, catalog::Image image, Opened opened)
      : volumes_(volumes), image_(std::move(image)), opened_(std::move(opened)) {
    std::erase_if(image_.parts, [](const catalog::Part& part) { return !part.ok; });
  }

  Result<DumpHeader> header() override {
    if (!file_) {
      if (auto opened = open_part(); !opened) return std::unexpected(std::move(opened.error()));
    }
    return file_->header();
  }

  Result<size_t> read(base::MutableBytes into) override {
    while (index_ < image_.parts.size()) {
      if (!file_) {
        if (auto opened = open_part(); !opened) return std::unexpected(std::move(opened.error()));
      }
      auto bytes = file_->read(into);
      if (!bytes) return std::unexpected(std::move(bytes.error()).during("reading " + place()));
      if (*bytes > 0) {
        const size_t good = without_padding(into.first(*bytes));
        if (damaged_) return too_long();
        if (good > 0) return good;
        continue;
      }
      if (taken_ != part().bytes) {
        return base::fail(ErrorKind::corrupt,
                          fmt::format("DAMAGED: {} ends after {} bytes of the {} that were written", place(),
                                      taken_, part().bytes));
      }
      file_.reset();
      ++index_;
    }
    return 0;
  }

 private:
  const catalog::Part& part() const { return image_.parts[index_]; }
  std::string place() const { return fmt::format("file {} of volume {}", part().fileno, part().label); }

  Result<> open_part() {
    if (index_ >= image_.parts.size()) {
      return base::fail(ErrorKind::corrupt, image_.text() + " has no part on any volume");
    }
    auto volume = volumes_.load({part().label, part().write_timestamp, image_.storage});
    if (!volume) return std::unexpected(std::move(volume.error()));
    opened_(place());
    auto file = (*volume)->open_file(static_cast<int>(part().fileno));
    if (!file) {
      return std::unexpected(
          std::move(file.error())
              .during(fmt::format("looking for part {} of {} in {}", part().number, image_.text(), place())));
    }
    const DumpHeader& header = (*file)->header();
    const bool right = header.host == image_.host && header.disk == image_.disk &&
                       header.level == image_.level && header.timestamp == image_.timestamp &&
                       header.part == part().number;
    if (!right) {
      return base::fail(ErrorKind::corrupt,
                        fmt::format("{} should be part {} of {}, but its header says {}", place(),
                                    part().number, image_.text(), described(header)));
    }
    file_ = *std::move(file);
    taken_ = 0;
    padding_ = 0;
    block_bytes_ = (*volume)->block_bytes();
    return {};
  }

  // A tape's last block is filled up with NULs: what goes beyond the part's size must be that and nothing
  // else.
  size_t without_padding(base::Bytes bytes) {
    const uint64_t left = part().bytes - taken_;
    const size_t good = static_cast<size_t>(std::min<uint64_t>(bytes.size(), left));
    const base::Bytes rest = bytes.subspan(good);
    padding_ += rest.size();
    const bool nuls = std::ranges::all_of(rest, [](std::byte byte) { return byte == std::byte{0}; });
    damaged_ = !nuls || padding_ >= block_bytes_;
    taken_ += good;
    return good;
  }
  std::unexpected<base::Error> too_long() const {
    return base::fail(
        ErrorKind::corrupt,
        fmt::format("DAMAGED: {} has more than the {} bytes that were written", place(), part().bytes));
  }

  Volumes& volumes_;
  catalog::Image image_;
  Opened opened_;
  size_t index_ = 0;
  std::unique_ptr<volume::PartFile> file_;
  uint64_t taken_ = 0;
  uint64_t padding_ = 0;
  uint64_t block_bytes_ = 0;
  bool damaged_ = false;
};

class HeldSource final : public ImageSource {
 public:
  HeldSource(const catalog::Image& image, Opened opened)
      : cursor_(image.holding_file, hold::ImageKey{image.host, image.disk, image.level, image.timestamp}),
        place_(image.holding_file.string()),
        expected_(image.bytes),
        opened_(std::move(opened)) {}

  Result<DumpHeader> header() override {
    if (opened_) std::exchange(opened_, nullptr)(place_);
    return cursor_.header();
  }
  Result<size_t> read(base::MutableBytes into) override {
    auto bytes = cursor_.read(into);
    if (bytes && *bytes == 0 && cursor_.offset() != expected_) {
      return base::fail(ErrorKind::corrupt,
                        fmt::format("DAMAGED: {} gave {} bytes of {}", place_, cursor_.offset(), expected_));
    }
    return bytes;
  }

 private:
  hold::ChunkCursor cursor_;
  std::string place_;
  uint64_t expected_;
  Opened opened_;
};

}  // namespace

std::unique_ptr<ImageSource> open_image(Volumes& volumes, const catalog::Image& image, Opened opened) {
  if (image.held()) return std::make_unique<HeldSource>(image, std::move(opened));
  return std::make_unique<VolumeSource>(volumes, image, std::move(opened));
}

std::string places_of(const catalog::Image& image) {
  if (image.held()) return "holding file " + image.holding_file.string();
  std::string text;
  std::string label;
  for (const catalog::Part& part : image.parts) {
    if (!part.ok) continue;
    if (part.label == label) {
      text += fmt::format(", {}", part.fileno);
      continue;
    }
    label = part.label;
    text += fmt::format("{}volume {} (file {}", text.empty() ? "" : "), ", label, part.fileno);
  }
  return text.empty() ? "nowhere" : text + ")";
}

}  // namespace headrace::recover
