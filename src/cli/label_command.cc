#include "cli/label_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/server_context.h"
#include "server/volume/labeling.h"

namespace headrace::cli {
namespace {

using base::ErrorKind;
using base::Result;
using volume::LabelState;

std::string_view name_of(LabelState state) {
  switch (state) {
    case LabelState::labelled:
      return "labelled";
    case LabelState::blank:
      return "blank";
    case LabelState::foreign:
      return "foreign";
    case LabelState::unreadable:
      return "unreadable";
  }
  return "?";
}

class Labeller {
 public:
  Labeller(const config::ServerConfig& config, const config::Storage& storage, bool force, bool json)
      : storage_(storage),
        rules_(volume::label_rules(config, storage_, base::SystemClock().wall_seconds())),
        config_(config),
        force_(force),
        json_(json) {}

  int run(std::string label, std::optional<int> slot) {
    const auto outcome = write(std::move(label), slot);
    if (json_) {
      if (!outcome) facts_["error"] = outcome.error().what();
      facts_["written"] = outcome.has_value();
      fmt::print("{}\n", facts_.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else if (!outcome) {
      fmt::print(stderr, "{}\n", outcome.error().what());
    }
    return outcome ? 0 : 1;
  }

 private:
  void say(const std::string& text) const {
    if (!json_) fmt::print("{}\n", text);
  }

  Result<> write(std::string label, std::optional<int> slot) {
    auto tapelist = compat::load_tapelist(rules_.tapelist);
    if (!tapelist) return std::unexpected(std::move(tapelist).error());
    if (!label.empty()) {
      if (auto allowed = check_label(label, *tapelist); !allowed) return allowed;
    }
    auto changer = volume::make_changer(config_, storage_);
    if (!changer) return std::unexpected(std::move(changer).error());
    auto chosen = load(**changer, slot);
    if (!chosen) return std::unexpected(std::move(chosen).error());
    if (auto allowed = check_volume(chosen->found, *tapelist); !allowed) return allowed;
    if (label.empty()) {
      auto next = next_label(**changer, *tapelist, chosen->slot);
      if (!next) return std::unexpected(std::move(next).error());
      label = std::move(*next);
    }
    chosen->label = label;
    if (const auto* entry = tapelist->find(label)) chosen->entry = *entry;
    facts_["label"] = label;
    say(fmt::format("Writing label '{}'...", label));
    if (auto begun = volume::begin_volume(*chosen, rules_, "X"); !begun) return begun;
    say("Checking label...");
    if (auto released = chosen->volume->release(); !released) return released;
    say("Success!");
    return {};
  }

  // What can be said of a label before any volume is touched.
  Result<> check_label(const std::string& label, const compat::Tapelist& tapelist) const {
    const auto matches =
        config::label_matches(storage_.labelstr, storage_.autolabel, rules_.context(), label);
    if (!matches) return std::unexpected(matches.error());
    if (!*matches) {
      return base::fail(ErrorKind::refused,
                        fmt::format("Label '{}' doesn't match the labelstr '{}'.", label,
                                    storage_.labelstr.match_autolabel ? storage_.autolabel.pattern
                                                                      : storage_.labelstr.pattern));
    }
    if (!force_ && tapelist.find(label) != nullptr) {
      return base::fail(ErrorKind::refused, fmt::format("Label '{}' already on a volume", label));
    }
    return {};
  }

  Result<volume::ChosenVolume> load(volume::Changer& changer, std::optional<int> slot) {
    volume::ChosenVolume chosen;
    if (slot) {
      chosen.slot = fmt::format("{}", *slot);
    } else {
      auto current = changer.current_slot();
      if (!current) return std::unexpected(std::move(current).error());
      chosen.slot = std::move(*current);
    }
    facts_["slot"] = chosen.slot;
    say("Reading label...");
    auto loaded = changer.load(chosen.slot);
    if (!loaded) return std::unexpected(std::move(loaded).error());
    chosen.volume = std::move(*loaded);
    auto found = chosen.volume->read_label();
    if (!found) found = volume::VolumeLabel{LabelState::unreadable, "", "", "", found.error().what()};
    chosen.found = std::move(*found);
    facts_["found"] = {{"state", name_of(chosen.found.state)}};
    if (!chosen.found.label.empty()) facts_["found"]["label"] = chosen.found.label;
    return chosen;
  }

  // Says what is on the volume; anything but nothing is overwritten only by force.
  Result<> check_volume(const volume::VolumeLabel& found, const compat::Tapelist& tapelist) const {
    if (found.state == LabelState::blank) {
      say("Found an empty tape.");
      return {};
    }
    const std::string what = describe(found, tapelist);
    if (force_) {
      say(what);
      if (tapelist.find(found.label) != nullptr) {
        say(fmt::format("Consider using 'amrmtape' to remove volume '{}' from the catalog.", found.label));
      }
      return {};
    }
    return base::fail(ErrorKind::refused, what + "\nNot writing label.");
  }

  std::string describe(const volume::VolumeLabel& found, const compat::Tapelist& tapelist) const {
    if (found.state == LabelState::unreadable)
      return fmt::format("Error reading volume label: {}.", found.why);
    if (found.state == LabelState::foreign) return fmt::format("Found a non-Amanda volume: {}.", found.why);
    const auto* entry = tapelist.find(found.label);
    if (entry == nullptr)
      return fmt::format("Found label '{}' but it is not in the tapelist file.", found.label);
    if (!entry->config.empty() && entry->config != config_.name) {
      return fmt::format("Volume with label '{}' is active and contains data from configuration '{}'.",
                         found.label, entry->config);
    }
    return fmt::format("Volume with label '{}' is active and contains data from this configuration.",
                       found.label);
  }

  Result<std::string> next_label(volume::Changer& changer, const compat::Tapelist& tapelist,
                                 const std::string& slot) const {
    if (!storage_.autolabel.enabled()) {
      return base::fail(ErrorKind::refused, "No label was given and autolabel is not set.");
    }
    auto slots = changer.inventory();
    if (!slots) return std::unexpected(std::move(slots).error());
    return volume::next_new_label(rules_, tapelist, *slots, slot);
  }

  const config::Storage& storage_;
  volume::LabelRules rules_;
  const config::ServerConfig& config_;
  bool force_;
  bool json_;
  nlohmann::ordered_json facts_;
};

}  // namespace

int label_volume(const std::string& config, const std::string& label, std::optional<int> slot, bool force,
                 bool json, const std::vector<std::string>& overrides, const std::string& storage) {
  const auto context = load_context(config, overrides, false);
  if (!context) return kExitUsage;
  const auto* chosen =
      storage.empty() ? &context->config.first_storage() : context->config.storage_named(storage);
  if (chosen == nullptr) {
    fmt::print(stderr, "headrace: there is no storage '{}'\n", storage);
    return kExitUsage;
  }
  return Labeller(context->config, *chosen, force, json).run(label, slot);
}

}  // namespace headrace::cli
