#include "server/catalog/attempts.h"

#include <algorithm>
#include <set>
#include <utility>

namespace headrace::catalog {
namespace {

// Fills in what DONE says, and whether every part it speaks of is there.
void complete(Image& image, const compat::TapedLine& line) {
  std::set<int64_t> numbers;
  int64_t highest = 0;
  uint64_t bytes = 0;
  for (const Part& part : image.parts) {
    if (!part.ok) continue;
    numbers.insert(part.number);
    highest = std::max({highest, part.number, part.total});
    bytes += part.bytes;
  }
  const int64_t expected = std::max(line.parts, highest);
  for (Part& part : image.parts) part.total = expected;
  image.bytes = bytes;
  if (static_cast<int64_t>(numbers.size()) == expected && expected > 0 && *numbers.begin() == 1) return;
  int64_t missing = 1;
  while (numbers.contains(missing)) ++missing;
  image.status = ImageStatus::missing_part;
  image.reason =
      "part " + std::to_string(missing) + " of " + std::to_string(expected) + " is on no volume any more";
}

}  // namespace

template <class Line>
Attempts::Open::iterator Attempts::open_image(const Line& line) {
  const std::string& storage = storage_of(line.storage);
  const auto key = std::tie(line.host, line.disk, line.timestamp, line.level, storage);
  if (const auto found = open_.find(key); found != open_.end()) return found;
  const auto fresh = open_.try_emplace(Key(key)).first;
  Image& image = fresh->second;
  std::tie(image.host, image.disk, image.timestamp, image.level, image.storage) = fresh->first;
  image.pool = line.pool.empty() ? image.storage : line.pool;
  return fresh;
}

void Attempts::close(Open::iterator image) {
  done_.push_back(std::move(image->second));
  open_.erase(image);
}

void Attempts::add(const compat::TapeStartLine& line) {
  // A volume that was written again, or forgotten, no longer has what this log says.
  const compat::TapelistEntry* volume = tapelist_.find(line.label);
  if (volume != nullptr && volume->timestamp == line.datestamp)
    write_timestamps_[line.label] = line.datestamp;
  else
    write_timestamps_.erase(line.label);
}

void Attempts::add(const compat::PartLine& line) {
  Image& image = open_image(line)->second;
  const auto written = write_timestamps_.find(line.label);
  if (written == write_timestamps_.end()) return;
  // Of parts with one number the last that succeeded counts.
  if (!line.partial) {
    std::erase_if(image.parts, [&](const Part& part) { return part.ok && part.number == line.part; });
  }
  image.parts.push_back({.label = line.label,
                         .write_timestamp = written->second,
                         .fileno = line.fileno,
                         .number = line.part,
                         .total = line.total,
                         .bytes = line.stats.bytes,
                         .ok = !line.partial});
  image.native_kib = line.stats.native_kib;
}

void Attempts::add(const compat::TapedLine& line) {
  const auto open = open_image(line);
  Image& image = open->second;
  if (line.crcs) {
    image.native_crc = line.crcs->native;
    image.client_crc = line.crcs->client;
    image.server_crc = line.crcs->server;
  }
  if (line.stats.native_kib >= 0) image.native_kib = line.stats.native_kib;
  complete(image, line);
  if (line.partial) {
    image.status = ImageStatus::partial;
    image.reason = line.reason;
  }
  close(open);
}

void Attempts::add(const compat::TaperFailLine& line) {
  const auto open = open_image(line);
  open->second.status = ImageStatus::failed;
  open->second.reason = line.reason;
  close(open);
}

std::vector<Image> Attempts::take() {
  for (auto& [key, image] : open_) {
    image.status = ImageStatus::unfinished;
    image.reason = "the run ended before it was written to its end";
    done_.push_back(std::move(image));
  }
  open_.clear();
  std::erase_if(done_, [](const Image& image) { return image.parts.empty(); });
  for (Image& image : done_) {
    std::ranges::sort(image.parts, {}, [](const Part& part) { return std::pair(part.number, part.ok); });
  }
  return std::exchange(done_, {});
}

}  // namespace headrace::catalog
