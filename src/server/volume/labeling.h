// Which volume may be written, and writing its label: Amanda's "traditional" scan over slots, tapelist and
// label rules. The rule above all others: a volume is never overwritten before its time; what is in doubt is
// skipped, with a sentence that says why. Blocking; on the changer's lane or in a command. The volumes the
// catalog still needs are told to it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "compat/tapelist.h"
#include "config/label_template.h"
#include "config/server_config.h"
#include "server/volume/changer.h"

namespace headrace::volume {

// What decides about volumes.
struct LabelRules {
  std::string config;
  std::string org;
  const config::Storage* storage = nullptr;  // borrowed
  std::filesystem::path tapelist;
  int64_t now = 0;  // Unix seconds, for retention-days
  // Volumes the catalog still needs, with the word why: "retention-recover", "retention-full",
  // "command-copy".
  std::map<std::string, std::string> kept;
  // Labels written in this run: each volume is written once a run at most.
  std::set<std::string> written;
  // Slots they were in; some may still be loaded.
  std::set<std::string> used_slots;

  config::LabelContext context(const std::string& slot = {}) const;
};
LabelRules label_rules(const config::ServerConfig& config, const config::Storage& storage, int64_t now);

// Why each volume of the tapelist may not be written, by label, in the words of `amadmin retention`; those
// that may be have "retention-no".
std::map<std::string, std::string> retention(const LabelRules& rules, const compat::Tapelist& tapelist);

// A volume that may be written, loaded.
struct ChosenVolume {
  std::string slot;
  std::string label;       // that it has or will get
  bool new_label = false;  // it is not in the tapelist yet
  std::string barcode, meta;
  VolumeLabel found;                           // as it was
  std::optional<compat::TapelistEntry> entry;  // of a label that is not new
  std::shared_ptr<Volume> volume;              // shared by the writers of the images that go onto it
};

struct VolumeChoice {
  std::optional<ChosenVolume> chosen;
  std::vector<std::string> notes;  // for the log: "Slot 3 with label X is not reusable"
  std::string why_none;            // when there is none
};

// The oldest volume that may be reused and is in the changer; else, from the current slot on, the first that
// may be reused or given a label. The slot chosen becomes the current one. Errors: the changer or the
// tapelist cannot be read.
base::Result<VolumeChoice> choose_volume(Changer& changer, const LabelRules& rules);

// Enters the volume in the tapelist as written at `timestamp` (14 digits, or "X": labelled only), erases it,
// writes its label and reads it back. The tapelist comes first: it never speaks of content that is gone.
// Error again: another process changed the volume's entry since it was chosen.
base::Result<> begin_volume(const ChosenVolume& volume, const LabelRules& rules,
                            const std::string& timestamp);

// The lowest label of the storage's autolabel template that neither the tapelist nor a slot has.
base::Result<std::string> next_new_label(const LabelRules& rules, const compat::Tapelist& tapelist,
                                         const std::vector<Slot>& slots, const std::string& slot);

}  // namespace headrace::volume
