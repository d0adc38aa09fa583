#include "scenario.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "sim/random.h"

namespace headrace::simulation {

using base::ErrorKind;
using base::Result;

bool Scenario::is_calm() const {
  return way.cut_one_in == 0 && datagrams_lost_one_in == 0 && way.silence_one_in == 0 &&
         machines.error_one_in == 0 && machines.damage_one_in == 0 && machines.no_estimate_one_in == 0 &&
         machines.absurd_one_in == 0 && machine_down_one_in == 0 && crash_one_in == 0 &&
         volumes_late_one_in == 0 && no_run_one_in == 0 && clock_step_one_in == 0 &&
         unrest.nobody_one_in == 0 && unrest.volumes_away_one_in == 0 && unrest.clock_wrong_one_in == 0 &&
         unrest.holding_gone_one_in == 0 && storage_away_one_in == 0 && others_fill_one_in == 0;
}

namespace {

// Takes members out of an object, so that what is left over is what nobody knows.
class Members {
 public:
  explicit Members(nlohmann::json object) : object_(std::move(object)) {}
  template <class T>
  void take(const char* name, T& value) {
    const auto found = object_.find(name);
    if (found == object_.end()) return;
    found->get_to(value);
    object_.erase(found);
  }
  std::string left() const { return object_.empty() ? "" : object_.begin().key(); }

 private:
  nlohmann::json object_;
};

}  // namespace

// Found by nlohmann.
static void from_json(const nlohmann::json& object, StorageSetup& out) {
  Members members(object);
  members.take("tag", out.tag);
  members.take("levels", out.levels);
  members.take("runtapes", out.runtapes);
  members.take("parallel_writes", out.parallel_writes);
  members.take("volume_kib", out.volume_kib);
  if (const auto unknown = members.left(); !unknown.empty())
    throw nlohmann::json::other_error::create(501, "no storage has a \"" + unknown + "\"", &object);
}

Result<Scenario> load_scenario(const std::filesystem::path& file) {
  auto text = base::read_file(file);
  if (!text) return std::unexpected(std::move(text).error());
  Scenario out;
  out.name = file.stem().native();
  try {
    Members members(nlohmann::json::parse(*text));
    std::string about;
    members.take("about", about);
    members.take("nights", out.nights);
    members.take("whole_restores_every", out.whole_restores_every);
    members.take("hosts", out.hosts);
    members.take("disks", out.disks);
    members.take("files", out.files);
    members.take("file_bytes", out.file_bytes);
    members.take("changed_per_mille", out.changed_per_mille);
    members.take("grows_every", out.grows_every);
    members.take("dumpcycle_days", out.dumpcycle_days);
    members.take("tapecycle", out.tapecycle);
    members.take("runtapes", out.runtapes);
    members.take("in_parallel", out.in_parallel);
    members.take("max_dumps", out.max_dumps);
    members.take("volume_kib", out.volume_kib);
    members.take("holding_kib", out.holding_kib);
    members.take("holding_disks", out.holding_disks);
    members.take("configuration", out.configuration);
    members.take("client_compresses", out.client_compresses);
    members.take("by_datagrams", out.by_datagrams);
    members.take("datagrams_lost_one_in", out.datagrams_lost_one_in);
    members.take("datagrams_doubled_one_in", out.datagrams_doubled_one_in);
    members.take("others_fill_one_in", out.others_fill_one_in);
    members.take("storages", out.storages);
    members.take("storage_idle_one_in", out.storage_idle_one_in);
    members.take("storage_away_one_in", out.storage_away_one_in);
    members.take("bytes_per_second", out.way.bytes_per_second);
    members.take("cut_one_in", out.way.cut_one_in);
    members.take("silence_one_in", out.way.silence_one_in);
    members.take("error_one_in", out.machines.error_one_in);
    members.take("strange_one_in", out.machines.strange_one_in);
    members.take("no_estimate_one_in", out.machines.no_estimate_one_in);
    members.take("absurd_one_in", out.machines.absurd_one_in);
    members.take("damage_one_in", out.machines.damage_one_in);
    members.take("machine_down_one_in", out.machine_down_one_in);
    members.take("crash_one_in", out.crash_one_in);
    members.take("volumes_late_one_in", out.volumes_late_one_in);
    members.take("clock_step_one_in", out.clock_step_one_in);
    members.take("holiday_one_in", out.holiday_one_in);
    members.take("no_run_one_in", out.no_run_one_in);
    members.take("nobody_one_in", out.unrest.nobody_one_in);
    members.take("renamed_one_in", out.unrest.renamed_one_in);
    members.take("relisted_one_in", out.unrest.relisted_one_in);
    members.take("reconfigured_one_in", out.unrest.reconfigured_one_in);
    members.take("any_strategy", out.unrest.any_strategy);
    members.take("volumes_away_one_in", out.unrest.volumes_away_one_in);
    members.take("clock_wrong_one_in", out.unrest.clock_wrong_one_in);
    members.take("holding_gone_one_in", out.unrest.holding_gone_one_in);
    members.take("second_run_one_in", out.unrest.second_run_one_in);
    if (const auto unknown = members.left(); !unknown.empty())
      return base::fail(ErrorKind::corrupt,
                        fmt::format("{}: no scenario has a \"{}\"", file.native(), unknown));
  } catch (const nlohmann::json::exception& error) {
    return base::fail(ErrorKind::corrupt, fmt::format("{}: {}", file.native(), error.what()));
  }
  return out;
}

Scenario draw_scenario(uint64_t seed) {
  sim::Random random(seed * 7919 + 13);
  const auto maybe = [&random](unsigned one_in) { return random.one_in(3) ? one_in : 0; };
  Scenario out;
  out.nights = static_cast<int64_t>(random.between(3, 7));
  out.hosts = random.between(1, 3);
  out.disks = random.between(1, 3);
  out.files = random.between(2, 25);
  out.file_bytes = random.between(100, 4000);
  out.changed_per_mille = static_cast<unsigned>(random.between(0, 400));
  out.dumpcycle_days = static_cast<int64_t>(random.between(1, 5));
  out.tapecycle = static_cast<int64_t>(random.between(6, 12));
  out.runtapes = static_cast<int64_t>(random.between(1, 3));
  out.in_parallel = static_cast<int64_t>(random.between(1, 6));
  out.max_dumps = static_cast<int64_t>(random.between(1, 3));
  out.volume_kib = static_cast<int64_t>(random.between(200, 2000));
  out.holding_kib = random.one_in(5) ? 0 : static_cast<int64_t>(random.between(200, 4000));
  out.way.bytes_per_second = random.one_in(2) ? 0 : random.between(1000, 200'000);
  out.way.cut_one_in = maybe(6);
  out.way.silence_one_in = maybe(15);
  out.machines.error_one_in = maybe(5);
  out.machines.strange_one_in = maybe(5);
  out.machines.no_estimate_one_in = maybe(4);
  out.machines.absurd_one_in = maybe(6);
  out.machines.damage_one_in = maybe(6);
  out.machine_down_one_in = maybe(4);
  out.crash_one_in = maybe(2);
  out.volumes_late_one_in = maybe(3);
  out.clock_step_one_in = maybe(3);
  out.holiday_one_in = maybe(4);
  out.no_run_one_in = maybe(5);
  constexpr const char* kFurther[] = {"", "reserve 100", "autoflush yes", "autoflush all"};
  out.configuration = kFurther[random.below(4)];
  return out;
}

Scenario draw_unrest(uint64_t seed) {
  Scenario out = draw_scenario(seed);
  sim::Random random(seed * 104'729 + 71);
  const auto maybe = [&random](unsigned one_in) { return random.one_in(2) ? one_in : 0; };
  out.name = "unrest";
  out.nights += static_cast<int64_t>(random.between(1, 5));
  out.holding_disks = static_cast<int64_t>(random.between(1, 3));
  out.unrest.nobody_one_in = maybe(5);
  out.unrest.renamed_one_in = maybe(4);
  out.unrest.relisted_one_in = maybe(3);
  out.unrest.reconfigured_one_in = maybe(2);
  out.unrest.any_strategy = true;
  out.unrest.volumes_away_one_in = maybe(5);
  out.unrest.clock_wrong_one_in = maybe(5);
  out.unrest.holding_gone_one_in = maybe(3);
  out.unrest.second_run_one_in = maybe(2);
  return out;
}

Scenario draw_wide(uint64_t seed) {
  Scenario out = draw_unrest(seed);
  sim::Random random(seed * 15'485'863 + 29);
  const auto maybe = [&random](unsigned one_in) { return random.one_in(2) ? one_in : 0; };
  out.name = "wide";
  if (random.below(4) > 0) {
    constexpr const char* kTags[] = {"", "", "near", "far"};
    constexpr const char* kLevels[] = {"ALL", "ALL", "FULL", "INCR"};
    out.storages.resize(random.between(2, 3));
    for (auto& storage : out.storages) {
      storage.tag = kTags[random.below(4)];
      storage.levels = kLevels[random.below(4)];
      storage.runtapes = static_cast<int64_t>(random.between(1, 3));
      storage.parallel_writes = static_cast<int64_t>(random.between(1, 2));
      storage.volume_kib = static_cast<int64_t>(random.between(200, 2000));
    }
    out.storage_idle_one_in = maybe(4);
    out.storage_away_one_in = maybe(3);
  }
  return out;
}

Scenario draw_mixed(uint64_t seed) {
  Scenario out = draw_wide(seed);
  sim::Random random(seed * 32'452'843 + 57);
  out.name = "mixed";
  out.client_compresses = random.one_in(2);
  if (out.holding_kib > 0) out.others_fill_one_in = static_cast<unsigned>(random.between(1, 4));
  out.by_datagrams = random.one_in(2);
  if (random.one_in(2)) out.datagrams_lost_one_in = static_cast<unsigned>(random.between(2, 20));
  if (random.one_in(2)) out.datagrams_doubled_one_in = static_cast<unsigned>(random.between(2, 20));
  return out;
}

Result<Sabotage> sabotage_named(const std::string& name) {
  constexpr std::pair<const char*, Sabotage> kNames[] = {
      {"none", Sabotage::none},
      {"lying-client", Sabotage::lying_client},
      {"early-reuse", Sabotage::early_reuse},
      {"lost-part", Sabotage::lost_part},
      {"stray-holding", Sabotage::stray_holding},
      {"more-dumps", Sabotage::more_dumps},
      {"forgotten-disk", Sabotage::forgotten_disk},
      {"late-fulls", Sabotage::late_fulls},
      {"double-run", Sabotage::double_run},
      {"stale-rules", Sabotage::stale_rules},
      {"lost-holding", Sabotage::lost_holding},
      {"falling-names", Sabotage::falling_names},
      {"lost-history", Sabotage::lost_history},
      {"one-storage", Sabotage::one_storage},
      {"lost-copy", Sabotage::lost_copy},
      {"deaf-disk", Sabotage::deaf_disk},
  };
  std::string known;
  for (const auto& [it, value] : kNames) {
    if (name == it) return value;
    known += std::string(known.empty() ? "" : ", ") + it;
  }
  return base::fail(ErrorKind::refused, fmt::format("no such sabotage: {}; there are {}", name, known));
}

}  // namespace headrace::simulation
