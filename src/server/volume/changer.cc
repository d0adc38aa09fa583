#include "server/volume/changer.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/volume/vtape/vtape_changer.h"

namespace headrace::volume {

std::vector<Slot> slots_from(std::vector<Slot> slots, const std::string& first) {
  const auto begin = std::ranges::find(slots, first, &Slot::name);
  if (begin != slots.end()) std::rotate(slots.begin(), begin, slots.end());
  return slots;
}

std::optional<std::string> slot_of_label(const std::vector<Slot>& slots, const std::string& label) {
  const auto found = std::ranges::find_if(
      slots, [&](const Slot& slot) { return slot.state == LabelState::labelled && slot.label == label; });
  if (found == slots.end()) return std::nullopt;
  return found->name;
}

base::Result<std::unique_ptr<Changer>> make_changer(const config::ServerConfig& config,
                                                    const config::Storage& storage) {
  const std::string& kind = storage.changer.tpchanger;
  if (kind.starts_with("chg-disk:")) {
    auto settings = vtape::vtape_settings(config, storage);
    if (!settings) return std::unexpected(std::move(settings).error());
    return std::make_unique<vtape::VtapeChanger>(std::move(*settings));
  }
  if (kind.empty()) {
    return base::fail(base::ErrorKind::refused,
                      fmt::format("storage '{}' has no changer: set tpchanger", storage.name));
  }
  return base::fail(base::ErrorKind::unsupported,
                    fmt::format("changer '{}': only chg-disk:DIRECTORY is supported yet", kind));
}

}  // namespace headrace::volume
