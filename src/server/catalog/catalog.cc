#include "server/catalog/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace headrace::catalog {
namespace {

using base::ErrorKind;
using base::Result;

constexpr size_t kMostSuggestions = 5;

// 8-digit timestamps of old logs compare with 14-digit ones as their midnight.
std::string full_stamp(std::string_view timestamp) {
  std::string stamp(timestamp);
  if (stamp.size() < 14) stamp.resize(14, '0');
  return stamp;
}

// A dump of one disk, with the best of its copies.
struct Dump {
  std::string timestamp;
  int level = 0;
  const Image* best = nullptr;  // none: made, but no copy is left
  std::vector<const Image*> copies{};
  bool recorded = false;  // a log says it succeeded: later incrementals may be based on it
  bool good() const { return best != nullptr && best->status == ImageStatus::ok; }
};

bool better(const Image& a, const Image& b) {
  const auto rank = [](const Image& image) {
    return std::pair(image.status == ImageStatus::ok ? 0 : 1, image.held() ? 0 : 1);
  };
  return rank(a) < rank(b);
}

// Those of a disk, of a list that is sorted by host and disk: a site has a hundred thousand of all disks.
template <class Entry>
auto of_disk(const std::vector<Entry>& sorted, std::string_view host, std::string_view disk) {
  return std::ranges::equal_range(sorted, std::pair(host, disk), {}, [](const Entry& entry) {
    return std::pair<std::string_view, std::string_view>(entry.host, entry.disk);
  });
}

std::string what_is_wrong(const Dump& dump) {
  if (dump.best == nullptr) return "no copy of it is left on any volume or holding disk";
  if (dump.copies.size() == 1) {
    return fmt::format("its copy is {} ({})", name_of(dump.best->status), dump.best->reason);
  }
  std::string text;
  for (const Image* copy : dump.copies) {
    text += fmt::format("{}{} is {} ({})", text.empty() ? "its copy " : ", the one ", copy->where(),
                        name_of(copy->status), copy->reason);
  }
  return text;
}

}  // namespace

std::string_view name_of(ImageStatus status) {
  switch (status) {
    case ImageStatus::ok:
      return "complete";
    case ImageStatus::partial:
      return "partial";
    case ImageStatus::failed:
      return "failed";
    case ImageStatus::missing_part:
      return "missing a part";
    case ImageStatus::unfinished:
      return "unfinished";
  }
  return "?";
}

std::string Image::text() const { return fmt::format("{}:{} of {} level {}", host, disk, timestamp, level); }

std::string Image::where() const { return held() ? "on holding disk" : "in storage " + storage; }

std::vector<const Image*> Catalog::images_of(std::string_view host, std::string_view disk) const {
  std::vector<const Image*> found;
  for (const Image& image : of_disk(images_, host, disk)) found.push_back(&image);
  return found;
}

std::vector<DumpFact> Catalog::dated_after(std::string_view host, std::string_view disk,
                                           std::string_view moment) const {
  std::map<std::pair<std::string, int>, DumpFact> found;
  const auto add = [&](const DumpFact& fact) {
    if (full_stamp(fact.timestamp) > moment) found.emplace(std::pair(fact.timestamp, fact.level), fact);
  };
  for (const DumpFact& fact : of_disk(facts_, host, disk)) add(fact);
  for (const Image* image : images_of(host, disk)) {
    if (image->status == ImageStatus::ok) add({image->host, image->disk, image->timestamp, image->level});
  }
  std::vector<DumpFact> dumps;
  for (auto& [unused, fact] : found) dumps.push_back(std::move(fact));
  return dumps;
}

std::vector<Image> Catalog::copies_of(const Image& image) const {
  std::vector<Image> copies;
  for (const Image* copy : images_of(image.host, image.disk)) {
    if (copy->timestamp == image.timestamp && copy->level == image.level) copies.push_back(*copy);
  }
  return copies;
}

Result<std::vector<Image>> Catalog::chain(std::string_view host, std::string_view disk,
                                          std::string_view at) const {
  std::map<std::pair<std::string, int>, Dump> dumps;
  const auto dump_of = [&](const std::string& timestamp, int level) -> Dump* {
    if (!at.empty() && full_stamp(timestamp) > at) return nullptr;
    Dump& dump = dumps[{full_stamp(timestamp), level}];
    dump.timestamp = timestamp;
    dump.level = level;
    return &dump;
  };
  for (const Image* image : images_of(host, disk)) {
    Dump* dump = dump_of(image->timestamp, image->level);
    if (dump == nullptr) continue;
    dump->copies.push_back(image);
    if (dump->best == nullptr || better(*image, *dump->best)) dump->best = image;
    // "Complete on volume" was only ever said of a dump that succeeded.
    if (image->status == ImageStatus::ok || image->status == ImageStatus::missing_part) dump->recorded = true;
  }
  for (const DumpFact& fact : of_disk(facts_, host, disk)) {
    if (Dump* dump = dump_of(fact.timestamp, fact.level)) dump->recorded = true;
  }

  std::vector<Image> chain;
  int below = INT32_MAX;
  for (auto entry = dumps.rbegin(); entry != dumps.rend() && below > 0; ++entry) {
    const Dump& dump = entry->second;
    if (dump.level >= below) continue;
    // An attempt that failed on its client is no base of anything; but as the newest it is what was asked
    // for.
    const bool wanted = dump.recorded || (chain.empty() && dump.best->status != ImageStatus::failed);
    if (!wanted) continue;
    if (!dump.good() && chain.empty()) {
      return base::fail(ErrorKind::refused,
                        fmt::format("the newest dump of {}:{}, {} level {}, cannot be restored: {}. For the "
                                    "state before it give an earlier time with --at",
                                    host, disk, dump.timestamp, dump.level, what_is_wrong(dump)));
    }
    if (!dump.good()) {
      return base::fail(ErrorKind::refused,
                        fmt::format("{} needs the dump of {} level {} before it, but {}", chain.back().text(),
                                    dump.timestamp, dump.level, what_is_wrong(dump)));
    }
    chain.push_back(*dump.best);
    below = dump.level;
  }
  if (chain.empty()) return none_known(host, disk, at);
  if (below > 0) {
    return base::fail(
        ErrorKind::refused,
        fmt::format("{} needs a dump of a lower level before it, and none is known", chain.back().text()));
  }
  std::ranges::reverse(chain);
  return chain;
}

Result<Image> Catalog::newest(std::string_view host, std::string_view disk, std::string_view at,
                              std::optional<int> level) const {
  const Image* found = nullptr;
  for (const Image* image : images_of(host, disk)) {
    if (!at.empty() && full_stamp(image->timestamp) > at) continue;
    if (level && image->level != *level) continue;
    if (image->status != ImageStatus::ok) continue;
    const bool newer = found == nullptr || full_stamp(image->timestamp) > full_stamp(found->timestamp);
    const bool same = found != nullptr && image->timestamp == found->timestamp;
    if (newer || (same && better(*image, *found))) found = image;
  }
  if (found != nullptr) return *found;
  if (!level) return std::unexpected(none_known(host, disk, at).error());
  return base::fail(ErrorKind::refused,
                    fmt::format("no complete dump of {}:{} at level {} is known{}", host, disk, *level,
                                at.empty() ? "" : " from that time or before"));
}

std::unexpected<base::Error> Catalog::none_known(std::string_view host, std::string_view disk,
                                                 std::string_view at) const {
  const auto copies = images_of(host, disk);
  if (!copies.empty()) {
    const Image* oldest = copies.back();
    return base::fail(ErrorKind::refused,
                      fmt::format("no complete dump of {}:{} is known{}; the oldest is of {}", host, disk,
                                  at.empty() ? "" : " from that time or before", oldest->timestamp));
  }
  std::set<std::string> disks;
  std::set<std::string> hosts;
  for (const Image& image : images_) {
    hosts.insert(image.host);
    if (image.host == host) disks.insert(image.disk);
  }
  const auto& choice = disks.empty() ? hosts : disks;
  std::string names;
  for (size_t shown = 0; const std::string& name : choice) {
    if (shown++ == kMostSuggestions) {
      names += ", …";
      break;
    }
    names += (names.empty() ? "" : ", ") + name;
  }
  if (choice.empty()) {
    return base::fail(ErrorKind::refused,
                      fmt::format("no dump of {}:{} is known, nor any other", host, disk));
  }
  return base::fail(ErrorKind::refused,
                    fmt::format("no dump of {}:{} is known; there are dumps of {} {}", host, disk,
                                disks.empty() ? "the hosts" : "that host's disks", names));
}

}  // namespace headrace::catalog
