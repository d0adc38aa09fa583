#include "server/recover/copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace headrace::recover {

using base::ErrorKind;
using base::Result;

std::vector<VolumeWanted> volumes_of(const catalog::Image& copy) {
  std::vector<VolumeWanted> wanted;
  for (const catalog::Part& part : copy.parts) {
    if (part.ok) wanted.push_back({part.label, part.write_timestamp, copy.storage});
  }
  return wanted;
}

Copies::Copies(std::vector<catalog::Image> copies, const config::ServerConfig& config,
               const std::string& preferred) {
  HEADRACE_CHECK(!copies.empty());
  for (catalog::Image& copy : copies) copies_.push_back({.image = std::move(copy)});
  const auto rank = [&](const Copy& copy) {
    const auto at = std::ranges::find(config.storage, copy.image.storage);
    return std::tuple(copy.image.storage == preferred ? 0 : 1, copy.image.held() ? 0 : 1,
                      at - config.storage.begin());
  };
  std::ranges::stable_sort(copies_, {}, rank);
  for (Copy& copy : copies_) {
    if (copy.image.status == catalog::ImageStatus::ok) continue;
    copy.trouble.emplace(ErrorKind::refused,
                         fmt::format("it is {} ({})", name_of(copy.image.status), copy.image.reason));
  }
}

void Copies::look(Volumes& volumes) {
  for (Copy& copy : copies_) {
    if (copy.trouble) continue;
    if (auto there = volumes.require(volumes_of(copy.image), Look::remembered); !there) {
      copy.trouble = std::move(there.error());
    }
  }
}

Result<const catalog::Image*> Copies::current() const {
  const auto usable = std::ranges::find_if(copies_, [](const Copy& copy) { return !copy.trouble; });
  if (usable != copies_.end()) return &usable->image;
  if (copies_.size() == 1) return std::unexpected(*copies_.front().trouble);
  ErrorKind kind = copies_.front().trouble->kind();
  std::string text;
  for (const Copy& copy : copies_) {
    if (copy.trouble->kind() == ErrorKind::corrupt) kind = ErrorKind::corrupt;
    text +=
        fmt::format("{}the one {}: {}", text.empty() ? "" : "; ", copy.image.where(), copy.trouble->what());
  }
  return base::fail(kind, fmt::format("none of the {} copies of {} can be used: {}", copies_.size(),
                                      copies_.front().image.text(), text));
}

void Copies::give_up(base::Error why) {
  const auto usable = std::ranges::find_if(copies_, [](const Copy& copy) { return !copy.trouble; });
  HEADRACE_CHECK(usable != copies_.end());
  usable->trouble = std::move(why);
}

std::vector<Copies::GivenUp> Copies::passed_over() const {
  std::vector<GivenUp> passed;
  for (const Copy& copy : copies_) {
    if (!copy.trouble) return passed;
    if (copy.image.status == catalog::ImageStatus::ok) passed.push_back({copy.image, *copy.trouble});
  }
  return passed;
}

}  // namespace headrace::recover
