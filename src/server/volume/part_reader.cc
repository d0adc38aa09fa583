#include "server/volume/part_reader.h"

#include <utility>

#include <fmt/format.h>

#include "base/quote.h"

namespace headrace::volume {

using base::ErrorKind;
using base::Result;

std::string DumpId::text() const {
  return fmt::format("{}:{} {} level {}", host, base::quote(disk), timestamp, level);
}

DumpId id_of(const wire::DumpHeader& header) {
  return {header.host, header.disk, header.level, header.timestamp};
}

VolumeOfLabel volumes_of(Changer& changer) {
  return [&changer](const std::string& label) -> Result<std::shared_ptr<Volume>> {
    const auto slots = changer.inventory();
    if (!slots) return std::unexpected(slots.error());
    const auto slot = slot_of_label(*slots, label);
    if (!slot)
      return base::fail(ErrorKind::refused, fmt::format("volume '{}' is in no slot of the changer", label));
    auto volume = changer.load(*slot);
    if (!volume) return std::unexpected(std::move(volume).error());
    const auto found = (*volume)->read_label();
    if (!found) return std::unexpected(found.error());
    if (found->state != LabelState::labelled || found->label != label) {
      return base::fail(
          ErrorKind::corrupt,
          fmt::format("slot {} should hold volume '{}' but holds {}", *slot, label,
                      found->state == LabelState::labelled ? fmt::format("'{}'", found->label) : found->why));
    }
    return std::shared_ptr<Volume>(std::move(*volume));
  };
}

PartCursor::PartCursor(VolumeOfLabel volumes, DumpId id, std::vector<PartPlace> parts)
    : volumes_(std::move(volumes)), id_(std::move(id)), parts_(std::move(parts)) {}

Result<> PartCursor::check(const wire::DumpHeader& header, const PartPlace& place) const {
  const auto where = fmt::format("file {} of volume '{}'", place.file, place.label);
  if (header.type != wire::DumpHeader::Type::split_file && header.type != wire::DumpHeader::Type::file) {
    return base::fail(ErrorKind::corrupt, fmt::format("{} is no part of a dump", where));
  }
  if (id_of(header) != id_) {
    return base::fail(ErrorKind::corrupt,
                      fmt::format("{} belongs to {}, not to {}", where, id_of(header).text(), id_.text()));
  }
  const int part = header.type == wire::DumpHeader::Type::file ? 1 : header.part;
  if (part != place.part) {
    return base::fail(ErrorKind::corrupt,
                      fmt::format("{} is part {} of {}, not part {}", where, part, id_.text(), place.part));
  }
  if (header.total_parts > 0 && static_cast<size_t>(header.total_parts) != parts_.size()) {
    return base::fail(ErrorKind::corrupt, fmt::format("{}: {} has {} parts, but {} are known", where,
                                                      id_.text(), header.total_parts, parts_.size()));
  }
  return {};
}

Result<> PartCursor::open_part() {
  const PartPlace& place = parts_[index_];
  if (!volume_ || loaded_label_ != place.label) {
    file_.reset();
    // Before the next one is loaded: there may be one drive only.
    if (volume_ && volume_.use_count() == 1) {
      if (auto released = volume_->release(); !released) return released;
    }
    volume_.reset();
    auto volume = volumes_(place.label);
    if (!volume) return std::unexpected(std::move(volume).error());
    volume_ = std::move(*volume);
    loaded_label_ = place.label;
  }
  auto file = volume_->open_file(place.file);
  if (!file) return std::unexpected(std::move(file).error());
  if (auto checked = check((*file)->header(), place); !checked) return checked;
  file_ = std::move(*file);
  return {};
}

Result<wire::DumpHeader> PartCursor::header() {
  if (parts_.empty())
    return base::fail(ErrorKind::refused, fmt::format("no part of {} is known", id_.text()));
  if (index_ > 0) return base::fail(ErrorKind::refused, "the first part was read already");
  if (!file_) {
    if (auto opened = open_part(); !opened) return std::unexpected(std::move(opened).error());
  }
  return file_->header();
}

Result<size_t> PartCursor::read(base::MutableBytes into) {
  if (parts_.empty())
    return base::fail(ErrorKind::refused, fmt::format("no part of {} is known", id_.text()));
  while (index_ < parts_.size()) {
    if (!file_) {
      if (auto opened = open_part(); !opened) return std::unexpected(std::move(opened).error());
    }
    auto got = file_->read(into);
    if (!got || *got > 0) return got;
    file_.reset();
    ++index_;
  }
  return 0;
}

// The volume is unloaded with the cursor: on the lane.
PartReader::PartReader(loop::Loop& loop, uint64_t lane, VolumeOfLabel volumes, DumpId id,
                       std::vector<PartPlace> parts)
    : WorkerReadable(loop, lane,
                     std::make_shared<PartCursor>(std::move(volumes), std::move(id), std::move(parts)),
                     "the image on the volume", loop::SourceEnds::on_lane) {}

}  // namespace headrace::volume
