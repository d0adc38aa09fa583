// A changer: slots, each with a volume or none, and loading one of them. Owned by the run or command; its
// volumes do not outlive it. Calls block, so they are made on workers; from several threads at once is fine.
// One object per changer and process: locks do not exclude a process from itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/server_config.h"
#include "server/volume/volume.h"

namespace headrace::volume {

// What is known of a slot without loading it.
struct Slot {
  std::string name;  // "1"
  bool current = false;
  pid_t in_use_by = 0;  // the live process that has it loaded; 0: nobody
  // By the medium's directory or the changer's memory; the volume's header may say otherwise.
  LabelState state = LabelState::blank;
  std::string label;
};

class Changer {
 public:
  virtual ~Changer() = default;

  // All slots in the order in which "next" goes through them.
  virtual base::Result<std::vector<Slot>> inventory() = 0;
  // The slot this configuration used last; the first one when it used none.
  virtual base::Result<std::string> current_slot() = 0;
  // Loads a slot's volume for us alone. Error again: another process has it; refused: no such slot.
  virtual base::Result<std::unique_ptr<Volume>> load(const std::string& slot) = 0;
  // Remembers the slot as this configuration's current one.
  virtual base::Result<> make_current(const std::string& slot) = 0;
};

// The slots from `first` on, once around.
std::vector<Slot> slots_from(std::vector<Slot> slots, const std::string& first);
// The slot whose volume is said to have this label.
std::optional<std::string> slot_of_label(const std::vector<Slot>& slots, const std::string& label);

// The changer a storage names. Error unsupported: of a kind not known here; refused: its settings make no
// sense.
base::Result<std::unique_ptr<Changer>> make_changer(const config::ServerConfig& config,
                                                    const config::Storage& storage);

}  // namespace headrace::volume
