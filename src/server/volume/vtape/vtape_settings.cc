#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "server/volume/vtape/vtape_changer.h"

namespace headrace::vtape {

using base::ErrorKind;
using base::Result;

namespace {

// The properties of a changer and its devices, by folded name; the device's own win over the changer's, these
// over the configuration's.
class PropertyReader {
 public:
  PropertyReader(const config::ServerConfig& config, const config::Changer& changer)
      : sources_{&changer.device_properties, &changer.properties, &config.globals.device_properties} {}

  const std::string* find(std::string_view name) const {
    for (const config::Properties* source : sources_) {
      for (const config::Property& property : *source) {
        if (property.name == name && !property.values.empty()) return &property.values.front();
      }
    }
    return nullptr;
  }

  Result<bool> truth(std::string_view name, bool otherwise) const {
    const std::string* value = find(name);
    if (value == nullptr) return otherwise;
    std::string folded;
    for (const char c : *value) folded += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    for (const char* word : {"1", "y", "yes", "t", "true", "on"}) {
      if (folded == word) return true;
    }
    for (const char* word : {"0", "n", "no", "f", "false", "off"}) {
      if (folded == word) return false;
    }
    return base::fail(ErrorKind::refused,
                      fmt::format("property \"{}\" is \"{}\": yes or no was expected", name, *value));
  }

  // A whole number, perhaps followed by k, m, g or t.
  Result<uint64_t> number(std::string_view name, uint64_t otherwise) const {
    const std::string* value = find(name);
    if (value == nullptr) return otherwise;
    uint64_t number = 0;
    const char* const end = value->data() + value->size();
    auto [rest, error] = std::from_chars(value->data(), end, number);
    while (rest != end && *rest == ' ') ++rest;
    const std::string_view unit(rest, end);
    unsigned shift = 0;
    if (!unit.empty()) {
      const size_t power = std::string_view("bkmgt").find(static_cast<char>(unit[0] | 0x20));
      if (power == std::string_view::npos) error = std::errc::invalid_argument;
      shift = static_cast<unsigned>(power % 5) * 10;
    }
    if (error != std::errc() || number > (UINT64_MAX >> shift)) {
      return base::fail(ErrorKind::refused,
                        fmt::format("property \"{}\" is \"{}\": a number was expected", name, *value));
    }
    return number << shift;
  }

 private:
  std::array<const config::Properties*, 3> sources_;
};

}  // namespace

// A tapetype that does not set its length has a default that only the planner goes by.
static uint64_t length_of(const config::ServerConfig& config, const config::Tapetype& tapetype) {
  const config::Block* block = config.settings.find(config::Section::tapetype, tapetype.name);
  const config::Value* length = block == nullptr ? nullptr : block->find("LENGTH");
  return length != nullptr && length->set ? static_cast<uint64_t>(tapetype.length_kib) * base::kKiB : 0;
}

static Result<VtapeLimits> limits_of(const config::ServerConfig& config, const config::Storage& storage,
                                     const PropertyReader& properties) {
  VtapeLimits limits;
  limits.block_bytes = static_cast<uint64_t>(storage.tapetype.blocksize_kib) * base::kKiB;
  const auto enforce = properties.truth("enforce-max-volume-usage", true);
  const auto length = properties.number("max-volume-usage", length_of(config, storage.tapetype));
  const auto warn = properties.truth("leom", true);
  const auto monitor = properties.truth("monitor-free-space", true);
  for (const auto* truth : {&enforce, &warn, &monitor}) {
    if (!*truth) return std::unexpected(truth->error());
  }
  if (!length) return std::unexpected(length.error());
  limits.length_bytes = *enforce ? *length : 0;
  limits.early_warning = *warn;
  limits.monitor_free_space = *monitor;
  return limits;
}

Result<VtapeSettings> vtape_settings(const config::ServerConfig& config, const config::Storage& storage) {
  const config::Changer& changer = storage.changer;
  const PropertyReader properties(config, changer);
  VtapeSettings settings;
  settings.root = changer.tpchanger.substr(std::string_view("chg-disk:").size());
  settings.state_file = changer.changerfile;
  settings.user = {config.name, storage.name, changer.name};
  auto limits = limits_of(config, storage, properties);
  if (!limits) return std::unexpected(std::move(limits).error());
  settings.limits = *limits;
  const auto make = properties.truth("auto-create-slot", false);
  if (!make) return std::unexpected(make.error());
  const auto slots = properties.number("num-slot", 0);
  if (!slots) return std::unexpected(slots.error());
  if (*slots > 100000)
    return base::fail(ErrorKind::refused, fmt::format("property \"num-slot\" is {}", *slots));
  settings.make_slots = *make ? static_cast<int>(*slots) : 0;
  const auto patience = properties.number("lock-timeout", 1000);
  if (!patience) return std::unexpected(patience.error());
  settings.lock_timeout = std::chrono::seconds(std::min<uint64_t>(*patience, 86400));
  if (const std::string* use = properties.find("use-data")) {
    const bool exists = *use == "EXIST" || *use == "exist";
    const auto yes = exists ? Result<bool>(false) : properties.truth("use-data", false);
    if (!yes) return std::unexpected(yes.error());
    settings.use_data = exists ? UseData::if_exists : *yes ? UseData::yes : UseData::no;
  }
  return settings;
}

}  // namespace headrace::vtape
