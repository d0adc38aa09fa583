#include "server/volume/labeling.h"

#include <algorithm>
#include <charconv>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"

namespace headrace::volume {

using base::ErrorKind;
using base::Result;
using compat::Tapelist;
using compat::TapelistEntry;

static constexpr std::string_view kReusable = "retention-no";
static constexpr std::string_view kNeverUsed = "X";
static constexpr int64_t kDaySeconds = 86400;

config::LabelContext LabelRules::context(const std::string& slot) const {
  config::LabelContext context;
  context.config = config;
  context.org = org;
  context.storage = storage->name;
  int number = 0;
  const auto [_, error] = std::from_chars(slot.data(), slot.data() + slot.size(), number);
  if (error == std::errc()) context.slot = number;
  return context;
}

LabelRules label_rules(const config::ServerConfig& config, const config::Storage& storage, int64_t now) {
  LabelRules rules;
  rules.config = config.name;
  rules.org = config.globals.org;
  rules.storage = &storage;
  rules.tapelist = config.globals.tapelist;
  rules.now = now;
  return rules;
}

static bool is_ours(const LabelRules& rules, const TapelistEntry& entry) {
  return entry.config.empty() || entry.config == rules.config;
}

static bool in_pool(const LabelRules& rules, const TapelistEntry& entry) {
  return entry.pool.empty() || entry.pool == rules.storage->tapepool;
}

std::map<std::string, std::string> retention(const LabelRules& rules, const Tapelist& tapelist) {
  std::map<std::string, std::string> why;
  int64_t newest = rules.storage->policy.retention_tapes;
  for (const TapelistEntry& entry : tapelist.entries()) {  // the newest come first
    std::string& word = why[entry.label];
    if (!entry.reuse) {
      word = "no-reuse";
    } else if (!is_ours(rules, entry)) {
      word = "other-config";
    } else if (!in_pool(rules, entry)) {
      word = "other-pool";
    } else if (!entry.used()) {
      word = kReusable;
    } else if (newest-- > 0) {
      word = "retention-tapes";
    } else if (rules.now - base::unix_of_timestamp(entry.timestamp) <
               rules.storage->policy.retention_days * kDaySeconds) {
      word = "retention-days";
    } else if (const auto kept = rules.kept.find(entry.label); kept != rules.kept.end()) {
      word = kept->second;
    } else {
      word = kReusable;
    }
  }
  return why;
}

Result<std::string> next_new_label(const LabelRules& rules, const Tapelist& tapelist,
                                   const std::vector<Slot>& slots, const std::string& slot) {
  std::set<std::string> used = rules.written;
  for (const TapelistEntry& entry : tapelist.entries()) used.insert(entry.label);
  for (const Slot& other : slots) {
    if (!other.label.empty()) used.insert(other.label);
  }
  return config::next_label(rules.storage->autolabel.pattern, rules.context(slot), used);
}

namespace {

// One scan: holds what was read at its start, gathers notes.
class Scan {
 public:
  Scan(Changer& changer, const LabelRules& rules) : changer_(changer), rules_(rules) {}

  Result<VolumeChoice> run() {
    auto tapelist = compat::load_tapelist(rules_.tapelist);
    if (!tapelist) return std::unexpected(std::move(tapelist).error());
    tapelist_ = std::move(*tapelist);
    why_ = retention(rules_, tapelist_);
    auto slots = changer_.inventory();
    if (!slots) return std::unexpected(std::move(slots).error());
    slots_ = std::move(*slots);
    const auto current = changer_.current_slot();
    if (!current) return std::unexpected(current.error());

    for (const std::string& slot : oldest_reusable()) {
      if (look_at(slot)) return done();
    }
    for (const Slot& slot : slots_from(slots_, *current)) {
      if (look_at(slot.name)) return done();
    }
    note("all slots have been loaded");
    choice_.why_none = why_none();
    return std::move(choice_);
  }

 private:
  void note(std::string text) { choice_.notes.push_back(std::move(text)); }

  // With the way out.
  std::string why_none() const {
    std::string why = "No acceptable volumes found";
    auto add = [&why, first = true](size_t count, const char* what) mutable {
      if (count == 0) return;
      why += fmt::format("{}{} {}", std::exchange(first, false) ? ": " : ", ", count, what);
    };
    add(needed_, "still needed (retention: tapecycle, the storage's policy)");
    add(in_use_, "in use by another process");
    const size_t known = needed_ + in_use_;
    add(seen_.size() - std::min(seen_.size(), known), "not ours to write");
    if (needed_ > 0) why += "; label one more (headrace label), or keep fewer";
    return why;
  }

  Result<VolumeChoice> done() {
    if (auto made = changer_.make_current(choice_.chosen->slot); !made)
      return std::unexpected(std::move(made).error());
    return std::move(choice_);
  }

  // Slots of volumes that may be reused, the longest unused first.
  std::vector<std::string> oldest_reusable() const {
    std::vector<std::string> found;
    for (const TapelistEntry& entry : tapelist_.entries() | std::views::reverse) {
      if (!may_reuse(entry.label)) continue;
      const auto slot = slot_of_label(slots_, entry.label);
      if (slot) found.push_back(*slot);
    }
    return found;
  }

  bool may_reuse(const std::string& label) const {
    const auto why = why_.find(label);
    return why != why_.end() && why->second == kReusable && !rules_.written.contains(label) && matches(label);
  }

  bool matches(const std::string& label) const {
    const auto& storage = *rules_.storage;
    const auto match = config::label_matches(storage.labelstr, storage.autolabel, rules_.context(), label);
    return match && *match;
  }

  // Loads a slot, once a scan; true when its volume is chosen.
  bool look_at(const std::string& slot) {
    if (!seen_.insert(slot).second) return false;
    auto volume = changer_.load(slot);
    if (!volume) {
      const bool again = volume.error().kind() == ErrorKind::again;
      // What another writer of this run has loaded is no trouble worth a line.
      if (again && rules_.used_slots.contains(slot)) {
        ++needed_;
        return false;
      }
      if (again) ++in_use_;
      note(fmt::format("Slot {} cannot be loaded: {}", slot, volume.error().what()));
      return false;
    }
    auto label = (*volume)->read_label();
    if (!label) label = VolumeLabel{LabelState::unreadable, "", "", "", label.error().what()};
    const bool take =
        label->state == LabelState::labelled ? judge_labelled(slot, *label) : judge_other(slot, *label);
    if (!take) {
      if (auto released = (*volume)->release(); !released) {
        note(fmt::format("Slot {} cannot be unloaded: {}", slot, released.error().what()));
      }
      return false;
    }
    choice_.chosen->volume = std::move(*volume);
    return true;
  }

  bool judge_labelled(const std::string& slot, const VolumeLabel& found) {
    const std::string with_label = fmt::format("Slot {} with label {}", slot, found.label);
    const TapelistEntry* entry = tapelist_.find(found.label);
    if (found.name != found.label) {
      note(fmt::format("{} is named '{}': name and label must agree", with_label, found.name));
      return false;
    }
    if (rules_.written.contains(found.label)) {
      ++needed_;
      note(fmt::format("{} was written in this run already", with_label));
      return false;
    }
    if (!matches(found.label)) {
      // In the tapelist it is somebody's volume, whose data only the rules of its owner may free.
      if (rules_.storage->autolabel.other_config && entry == nullptr) return take_new(slot, found);
      note(fmt::format("{} do not match labelstr", with_label));
      return false;
    }
    if (entry == nullptr) {
      note(fmt::format("{} is not in the tapelist", with_label));
      return false;
    }
    if (!may_reuse(found.label)) {
      ++needed_;
      note(fmt::format("{} is not reusable", with_label));
      return false;
    }
    if (found.timestamp != kNeverUsed && found.timestamp > entry->timestamp) {
      note(fmt::format("{} was written at {}, later than the tapelist knows: it is not overwritten",
                       with_label, found.timestamp));
      return false;
    }
    choice_.chosen =
        ChosenVolume{slot, found.label, false, entry->barcode, entry->meta, found, *entry, nullptr};
    return true;
  }

  bool judge_other(const std::string& slot, const VolumeLabel& found) {
    const config::Autolabel& autolabel = rules_.storage->autolabel;
    std::string what;
    bool allowed = false;
    switch (found.state) {
      case LabelState::blank:
        what = fmt::format("Slot {} is empty", slot);
        allowed = autolabel.empty;
        break;
      case LabelState::foreign:
        what = fmt::format("Slot {} is a non-amanda volume: {}", slot, found.why);
        allowed = autolabel.non_amanda;
        break;
      default:
        what = fmt::format("Slot {} is a volume in error: {}", slot, found.why);
        allowed = autolabel.volume_error;
        break;
    }
    const bool known = !found.name.empty() && tapelist_.find(found.name) != nullptr;
    if (known && !may_reuse(found.name)) {
      // Amanda would label it anew; what can still be saved of an active volume is worth more than a slot.
      note(fmt::format("{}; it is named '{}', which is not reusable", what, found.name));
    } else if (!autolabel.enabled()) {
      note(what + ", autolabel not set");
    } else if (!allowed) {
      note(what + ", autolabel disabled");
    } else {
      return take_new(slot, found);
    }
    return false;
  }

  bool take_new(const std::string& slot, const VolumeLabel& found) {
    auto label = next_new_label(rules_, tapelist_, slots_, slot);
    if (!label) {
      note(fmt::format("Slot {} cannot be labeled: {}", slot, label.error().what()));
      return false;
    }
    note(fmt::format("Slot {} without label can be labeled", slot));
    choice_.chosen = ChosenVolume{slot, std::move(*label), true, "", "", found, std::nullopt, nullptr};
    return true;
  }

  Changer& changer_;
  const LabelRules& rules_;
  Tapelist tapelist_;
  std::map<std::string, std::string> why_;
  std::vector<Slot> slots_;
  std::set<std::string> seen_;
  size_t needed_ = 0, in_use_ = 0;  // of them
  VolumeChoice choice_;
};

}  // namespace

Result<VolumeChoice> choose_volume(Changer& changer, const LabelRules& rules) {
  return Scan(changer, rules).run();
}

static TapelistEntry entry_for(const ChosenVolume& volume, const LabelRules& rules,
                               const std::string& timestamp) {
  TapelistEntry entry;
  if (volume.entry) entry = *volume.entry;
  entry.label = volume.label;
  entry.timestamp = timestamp == kNeverUsed ? "0" : timestamp;
  entry.reuse = true;
  entry.barcode = volume.barcode;
  entry.meta = volume.meta;
  entry.blocksize_kib = static_cast<int64_t>(volume.volume->block_bytes() / base::kKiB);
  entry.pool = rules.storage->tapepool;
  entry.storage = rules.storage->name;
  entry.config = rules.config;
  return entry;
}

// After a label could not be written: the tapelist is as it was when the volume is.
static void undo_entry(const ChosenVolume& volume, const LabelRules& rules) {
  const auto now = volume.volume->read_label();
  const bool untouched = now && now->state == volume.found.state && now->label == volume.found.label &&
                         now->timestamp == volume.found.timestamp;
  if (!untouched) return;
  // When this fails too the tapelist takes the volume for newer than it is, which keeps it from being
  // overwritten.
  [[maybe_unused]] const auto ignored =
      compat::update_tapelist(rules.tapelist, [&](Tapelist& list) -> Result<> {
        if (volume.entry) return list.put(*volume.entry);
        list.remove(volume.label);
        return {};
      });
}

Result<> begin_volume(const ChosenVolume& volume, const LabelRules& rules, const std::string& timestamp) {
  auto entered = compat::update_tapelist(rules.tapelist, [&](Tapelist& list) -> Result<> {
    const TapelistEntry* now = list.find(volume.label);
    const bool same = volume.entry ? now != nullptr && *now == *volume.entry : now == nullptr;
    if (!same) {
      return base::fail(
          ErrorKind::again,
          fmt::format("volume '{}' was changed in the tapelist by another process", volume.label));
    }
    return list.put(entry_for(volume, rules, timestamp));
  });
  if (!entered) return std::unexpected(std::move(entered).error());
  if (auto written = volume.volume->write_label(volume.label, timestamp); !written) {
    undo_entry(volume, rules);
    return written;
  }
  const auto check = volume.volume->read_label();
  if (!check) return std::unexpected(check.error());
  if (check->state != LabelState::labelled || check->label != volume.label || check->timestamp != timestamp) {
    return base::fail(ErrorKind::corrupt, fmt::format("the label '{}' written in slot {} reads back as '{}'",
                                                      volume.label, volume.slot, check->label));
  }
  return {};
}

}  // namespace headrace::volume
