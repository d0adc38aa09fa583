#include "server/recover/volumes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace headrace::recover {

using base::ErrorKind;
using base::Result;

void Volumes::unload() {
  loaded_.reset();
  loaded_label_.clear();
}

Result<volume::Volume*> Volumes::load_from(volume::Changer& changer, const std::string& slot,
                                           const VolumeWanted& wanted) {
  auto volume = changer.load(slot);
  if (!volume) return std::unexpected(std::move(volume.error()));
  const auto label = (*volume)->read_label();
  if (!label) return std::unexpected(label.error());
  if (label->state != volume::LabelState::labelled || label->label != wanted.label) {
    const std::string found =
        label->state == volume::LabelState::labelled
            ? "its label says " + label->label
            : "it has no readable label" + (label->why.empty() ? "" : ": " + label->why);
    return base::fail(ErrorKind::corrupt,
                      fmt::format("slot {} should hold volume {}, but {}", slot, wanted.label, found));
  }
  if (label->timestamp != wanted.write_timestamp) {
    return base::fail(
        ErrorKind::corrupt,
        fmt::format("volume {} in slot {} was written at {}, not at {}: what is wanted of it has "
                    "been written over",
                    wanted.label, slot, label->timestamp, wanted.write_timestamp));
  }
  loaded_ = *std::move(volume);
  loaded_label_ = wanted.label;
  loaded_timestamp_ = wanted.write_timestamp;
  return loaded_.get();
}

Result<volume::Volume*> Volumes::load(const VolumeWanted& wanted) {
  if (loaded_ && loaded_label_ == wanted.label && loaded_timestamp_ == wanted.write_timestamp) {
    return loaded_.get();
  }
  unload();
  std::vector<std::string> order;
  if (config_.storage_named(wanted.storage) != nullptr) order.push_back(wanted.storage);
  for (const auto& name : config_.storage) order.push_back(name);
  for (const auto& [name, storage] : config_.storages) order.push_back(name);
  std::string troubles;
  std::vector<std::string> looked;
  for (const std::string& name : order) {
    if (std::ranges::find(looked, name) != looked.end()) continue;
    looked.push_back(name);
    auto& changer = changers_[name];
    if (!changer) {
      auto made = volume::make_changer(config_, *config_.storage_named(name));
      if (!made) {
        troubles += fmt::format("; storage {}: {}", name, made.error().what());
        continue;
      }
      changer = *std::move(made);
    }
    const auto slots = changer->inventory();
    if (!slots) {
      troubles += fmt::format("; storage {}: {}", name, slots.error().what());
      continue;
    }
    if (const auto slot = volume::slot_of_label(*slots, wanted.label))
      return load_from(*changer, *slot, wanted);
  }
  return base::fail(
      ErrorKind::refused,
      fmt::format("volume {} is in no slot of any changer of the configuration: put it in and try "
                  "again{}",
                  wanted.label, troubles));
}

}  // namespace headrace::recover
