// The run's place at the changer: loads one volume after another, labelled and entered in the tapelist. All
// changer and volume work happens on one lane. Owned by the runner; loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/alive.h"
#include "base/error.h"
#include "config/server_config.h"
#include "loop/loop.h"
#include "server/volume/changer.h"
#include "server/volume/labeling.h"

namespace headrace::drive {

// A volume that is ready to be written. Copies share it, and may outlive the station.
struct LoadedVolume {
  std::shared_ptr<volume::Volume> volume;  // shared with the writers of images and works on the lane
  std::string label;
  std::string slot;
};

class VolumeStation {
 public:
  struct Loading {
    base::Result<LoadedVolume> volume = base::fail(base::ErrorKind::cancelled, "not loaded");
    std::vector<std::string> notes;  // for the log: why slots were passed over
  };

  // `timestamp` is the run's: written into labels and tapelist. Error: there is no changer.
  static base::Result<std::unique_ptr<VolumeStation>> open(loop::Loop& loop,
                                                           const config::ServerConfig& config,
                                                           const std::string& timestamp);
  ~VolumeStation();

  void load(std::move_only_function<void(Loading)> done);
  // The lane of every call to a volume.
  uint64_t lane() const { return lane_; }
  const LoadedVolume& current() const { return current_; }
  bool loaded() const { return current_.volume != nullptr; }
  // Lets go of the current volume, on the lane.
  void unload();
  const config::Storage& storage() const { return storage_; }

 private:
  VolumeStation(loop::Loop& loop, const config::ServerConfig& config, std::string timestamp,
                std::unique_ptr<volume::Changer> changer);

  loop::Loop& loop_;
  const config::ServerConfig& config_;
  const config::Storage& storage_;
  std::string timestamp_;
  uint64_t lane_;
  std::shared_ptr<volume::Changer> changer_;   // shared with works on the lane
  std::shared_ptr<volume::LabelRules> rules_;  // as changer_
  LoadedVolume current_;
  base::Alive alive_;
};

}  // namespace headrace::drive
