// The volumes that dumps are read back from: finds each by label among the changers of a configuration, loads
// it and makes sure that it is the one meant. Owned by a restore; at most one volume is loaded. Blocking, on
// one worker at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/server_config.h"
#include "server/volume/changer.h"
#include "server/volume/volume.h"

namespace headrace::recover {

// Which volume: its label is not enough, as it may have been written over since.
struct VolumeWanted {
  std::string label;
  std::string write_timestamp;
  std::string storage;  // looked for in this one's changer first
};

// Whether what was seen in the slots before still counts.
enum class Look : unsigned char { afresh, remembered };

class Volumes {
 public:
  explicit Volumes(const config::ServerConfig& config) : config_(config) {}
  Volumes(const Volumes&) = delete;
  Volumes& operator=(const Volumes&) = delete;

  // Borrowed until the next call. Errors: refused, it is in no changer, with what to do; corrupt, a slot
  // holds another volume than it says, or one written over since.
  base::Result<volume::Volume*> load(const VolumeWanted& wanted);
  // Whether a slot is said to hold each; loads nothing. For asking before anything is begun. Refused: names
  // all that are missing.
  base::Result<> require(const std::vector<VolumeWanted>& wanted, Look look = Look::afresh);
  // What was seen in the slots is forgotten.
  void look_again() { slots_.clear(); }
  // Gives the loaded volume back.
  void unload();

 private:
  struct Place {
    volume::Changer* changer = nullptr;
    std::string slot;
  };
  base::Result<Place> find(const VolumeWanted& wanted);
  base::Result<std::vector<volume::Slot>*> slots_of(const std::string& storage);
  base::Result<volume::Changer*> changer_of(const std::string& storage);
  base::Result<volume::Volume*> load_from(volume::Changer& changer, const std::string& slot,
                                          const VolumeWanted& wanted);
  const config::ServerConfig& config_;
  std::map<std::string, std::unique_ptr<volume::Changer>> changers_;  // by storage
  std::map<std::string, std::vector<volume::Slot>> slots_;            // by storage, as last seen
  std::unique_ptr<volume::Volume> loaded_;                            // after its changer: destroyed first
  std::string loaded_label_, loaded_timestamp_;
};

}  // namespace headrace::recover
