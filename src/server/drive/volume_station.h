// A storage's place at its changer: for each writer loads one volume after another, labelled and entered in
// the tapelist. Choosing and labelling happen on a lane of the changer's, all else on a volume on the lane of
// its writer. Owned by the runner; loop thread.
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

  struct Finding {
    std::string why_none = {};       // empty: there is one
    std::vector<std::string> notes;  // as in Loading
  };

  // `storage` is one of the configuration's, `timestamp` the run's: written into labels and tapelist. The
  // changer is shared by all storages that name the same one: open_changer makes it.
  VolumeStation(loop::Loop& loop, const config::ServerConfig& config, const config::Storage& storage,
                std::string timestamp, std::shared_ptr<volume::Changer> changer, size_t writers = 1);
  ~VolumeStation();

  // Finds the volume that the next load() will load, and keeps it from others; changes nothing on it.
  void find(std::move_only_function<void(Finding)> done);
  // For a writer that has none; after the one it had is unloaded.
  void load(size_t writer, std::move_only_function<void(Loading)> done);
  // The lane of every call to a volume that the writer makes.
  uint64_t lane(size_t writer) const { return places_.at(writer).lane; }
  const LoadedVolume& current(size_t writer) const { return places_.at(writer).current; }
  bool loaded(size_t writer) const { return current(writer).volume != nullptr; }
  // Gives the volume of one writer, who makes no calls to it any more, to another that has none.
  void hand_over(size_t from, size_t to);
  // Lets go of the writer's volume, on its lane.
  void unload(size_t writer);
  const config::Storage& storage() const { return storage_; }

 private:
  void choose(size_t writer, std::move_only_function<void(Loading)> done);

  // The changer, what decides about volumes, and a volume chosen and not yet loaded; touched on the lane
  // alone.
  struct Found;

  loop::Loop& loop_;
  const config::ServerConfig& config_;
  const config::Storage& storage_;
  std::string timestamp_;
  uint64_t lane_;                 // of choosing and labelling
  std::shared_ptr<Found> found_;  // shared with works on the lane
  struct Place {
    uint64_t lane = 0;
    LoadedVolume current = {};
  };
  std::vector<Place> places_;  // of the writers
  base::Alive alive_;
};

}  // namespace headrace::drive
