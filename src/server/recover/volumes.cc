#include "server/recover/volumes.h"

#include <fmt/format.h>

#include <set>
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

Result<volume::Changer*> Volumes::changer_of(const std::string& storage) {
  auto& changer = changers_[storage];
  if (!changer) {
    auto made = volume::make_changer(config_, *config_.storage_named(storage));
    if (!made) return std::unexpected(std::move(made.error()));
    changer = *std::move(made);
  }
  return changer.get();
}

Result<std::vector<volume::Slot>*> Volumes::slots_of(const std::string& storage) {
  if (const auto known = slots_.find(storage); known != slots_.end()) return &known->second;
  auto changer = changer_of(storage);
  if (!changer) return std::unexpected(std::move(changer.error()));
  auto slots = (*changer)->inventory();
  if (!slots) return std::unexpected(std::move(slots.error()));
  return &(slots_[storage] = *std::move(slots));
}

Result<Volumes::Place> Volumes::find(const VolumeWanted& wanted) {
  // The storage it was written to first; but volumes move between changers.
  std::vector<std::string> order;
  if (config_.storage_named(wanted.storage) != nullptr) order.push_back(wanted.storage);
  order.insert(order.end(), config_.storage.begin(), config_.storage.end());
  for (const auto& [name, storage] : config_.storages) order.push_back(name);
  std::string troubles;
  std::set<std::string> looked;
  for (const std::string& name : order) {
    if (config_.storage_named(name) == nullptr || !looked.insert(name).second) continue;
    const auto slots = slots_of(name);
    if (!slots) {
      troubles += fmt::format("; storage {}: {}", name, slots.error().what());
    } else if (auto slot = volume::slot_of_label(**slots, wanted.label)) {
      return Place{.changer = changers_.at(name).get(), .slot = *std::move(slot)};
    }
  }
  return base::fail(
      ErrorKind::refused,
      fmt::format("volume {} is in no slot of any changer of the configuration: put it in and try "
                  "again{}",
                  wanted.label, troubles));
}

Result<> Volumes::require(const std::vector<VolumeWanted>& wanted, Look look) {
  if (look == Look::afresh) look_again();
  std::set<std::string> asked;
  std::string missing;
  for (const VolumeWanted& one : wanted) {
    if (!asked.insert(one.label).second) continue;
    if (auto place = find(one); !place) missing += (missing.empty() ? "" : "; ") + place.error().what();
  }
  return missing.empty() ? Result<>() : base::fail(ErrorKind::refused, std::move(missing));
}

Result<volume::Volume*> Volumes::load(const VolumeWanted& wanted) {
  if (loaded_ && loaded_label_ == wanted.label && loaded_timestamp_ == wanted.write_timestamp) {
    return loaded_.get();
  }
  unload();
  // Looking through all slots takes time, minutes in a library: what was seen last mostly still is so.
  if (auto place = find(wanted)) {
    if (auto loaded = load_from(*place->changer, place->slot, wanted)) return loaded;
  }
  look_again();
  auto place = find(wanted);
  if (!place) return std::unexpected(std::move(place.error()));
  return load_from(*place->changer, place->slot, wanted);
}

}  // namespace headrace::recover
