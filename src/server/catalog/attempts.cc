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

std::string Attempts::storage_of(const std::string& logged) const {
  return logged.empty() ? config_name_ : logged;
}

Image& Attempts::open_image(const Key& key, const std::string& pool) {
  const auto [at, fresh] = open_.try_emplace(key);
  Image& image = at->second;
  if (fresh) {
    std::tie(image.host, image.disk, image.timestamp, image.level, image.storage) = key;
    image.pool = pool.empty() ? image.storage : pool;
  }
  return image;
}

void Attempts::close(const Key& key, Image image) {
  open_.erase(key);
  done_.push_back(std::move(image));
}

void Attempts::add(const compat::TapeStartLine& line) { write_timestamps_[line.label] = line.datestamp; }

void Attempts::add(const compat::PartLine& line) {
  const Key key{line.host, line.disk, line.timestamp, line.level, storage_of(line.storage)};
  Image& image = open_image(key, line.pool);
  const auto written = write_timestamps_.find(line.label);
  const compat::TapelistEntry* volume = tapelist_.find(line.label);
  // A volume that was written again, or forgotten, no longer has what this log says.
  if (written == write_timestamps_.end() || volume == nullptr || volume->timestamp != written->second) return;
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
  const Key key{line.host, line.disk, line.timestamp, line.level, storage_of(line.storage)};
  Image image = open_image(key, line.pool);
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
  close(key, std::move(image));
}

void Attempts::add(const compat::TaperFailLine& line) {
  const Key key{line.host, line.disk, line.timestamp, line.level, storage_of(line.storage)};
  Image image = open_image(key, line.pool);
  image.status = ImageStatus::failed;
  image.reason = line.reason;
  close(key, std::move(image));
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
