// chg-disk: a directory whose `slotN` directories are one vtape each. Owned by the run or command; usable
// from several threads. The state that processes share is in the state file (state_file.h); `data` points to
// the current slot. Source: behaviour of Amanda 3.5.1's chg-disk.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>

#include "server/volume/changer.h"
#include "server/volume/vtape/state_file.h"
#include "server/volume/vtape/vtape_volume.h"

namespace headrace::vtape {

enum class UseData : unsigned char { if_exists, yes, no };

struct VtapeSettings {
  std::filesystem::path root;
  std::filesystem::path state_file;  // empty: ROOT/state
  ChangerUser user;
  VtapeLimits limits;
  int make_slots = 0;  // make slot1…slotN when missing
  UseData use_data = UseData::if_exists;
  std::chrono::milliseconds lock_timeout{1000000};
};

// From a `chg-disk:` changer's definition. Error refused: a property has a value that makes no sense.
base::Result<VtapeSettings> vtape_settings(const config::ServerConfig& config,
                                           const config::Storage& storage);

class VtapeChanger final : public volume::Changer {
 public:
  explicit VtapeChanger(VtapeSettings settings);

  base::Result<std::vector<volume::Slot>> inventory() override;
  base::Result<std::string> current_slot() override;
  base::Result<std::unique_ptr<volume::Volume>> load(const std::string& slot) override;
  base::Result<> make_current(const std::string& slot) override;

 private:
  // Numbers of the slots, ascending.
  base::Result<std::vector<int>> slots();
  base::Result<int> existing(const std::string& slot);
  base::Result<std::string> current_among(const std::vector<int>& slots, const ChangerState& state) const;
  std::filesystem::path directory_of(int slot) const;
  base::Result<> point_data_at(int slot) const;
  base::Result<> with_shared_state(const std::function<base::Result<>(ChangerState&)>& change);
  base::Result<> unload(int slot);

  VtapeSettings settings_;
  std::mutex mutex_;
};

}  // namespace headrace::vtape
