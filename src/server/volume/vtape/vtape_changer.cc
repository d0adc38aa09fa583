#include "server/volume/vtape/vtape_changer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "base/file.h"

namespace headrace::vtape {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;
using volume::LabelState;
using volume::Slot;

static constexpr std::string_view kSlotPrefix = "slot";

static std::optional<int> number_in(std::string_view digits) {
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0) return std::nullopt;
  return number;
}

static std::optional<int> slot_number(std::string_view directory_name) {
  if (!directory_name.starts_with(kSlotPrefix)) return std::nullopt;
  return number_in(directory_name.substr(kSlotPrefix.size()));
}

static std::string slot_name(int number) { return fmt::format("{}{}", kSlotPrefix, number); }

VtapeChanger::VtapeChanger(VtapeSettings settings) : settings_(std::move(settings)) {
  if (settings_.state_file.empty()) settings_.state_file = settings_.root / "state";
}

Result<std::vector<int>> VtapeChanger::slots() {
  std::vector<int> numbers;
  std::error_code error;
  for (fs::directory_iterator entry(settings_.root, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    const auto number = slot_number(entry->path().filename().native());
    if (number && fs::is_directory(entry->path(), ignored)) numbers.push_back(*number);
  }
  if (error)
    return base::fail_errno(fmt::format("list the slots of {}", settings_.root.native()), error.value());
  for (int i = 1; i <= settings_.make_slots; ++i) {
    if (std::ranges::find(numbers, i) != numbers.end()) continue;
    if (auto made = base::make_directories(settings_.root / slot_name(i), 0700); !made) {
      return std::unexpected(std::move(made).error());
    }
    numbers.push_back(i);
  }
  if (numbers.empty()) {
    return base::fail(
        ErrorKind::refused,
        fmt::format("{} has no slots: make directories slot1, slot2, … in it", settings_.root.native()));
  }
  std::ranges::sort(numbers);
  return numbers;
}

fs::path VtapeChanger::directory_of(int slot) const {
  const fs::path plain = settings_.root / slot_name(slot);
  std::error_code ignored;
  const bool deeper = settings_.use_data == UseData::yes ||
                      (settings_.use_data == UseData::if_exists && fs::is_directory(plain / "data", ignored));
  return deeper ? plain / "data" : plain;
}

// What is remembered for us, else for all, else where the links point, else the first slot.
Result<std::string> VtapeChanger::current_among(const std::vector<int>& slots,
                                                const ChangerState& state) const {
  std::vector<std::string> candidates{state.current(settings_.user)};
  for (const char* link : {"data", "current"}) {
    std::error_code error;
    const fs::path target = fs::read_symlink(settings_.root / link, error);
    if (!error) candidates.push_back(target.filename().native());
  }
  for (const std::string& candidate : candidates) {
    const auto number = slot_number(candidate);
    if (number && std::ranges::binary_search(slots, *number)) return fmt::format("{}", *number);
  }
  return fmt::format("{}", slots.front());
}

Result<> VtapeChanger::with_shared_state(const std::function<Result<>(ChangerState&)>& change) {
  return with_state(settings_.state_file, settings_.lock_timeout, change);
}

Result<std::string> VtapeChanger::current_slot() {
  const std::lock_guard lock(mutex_);
  auto numbers = slots();
  if (!numbers) return std::unexpected(std::move(numbers).error());
  Result<std::string> current;
  auto read = with_shared_state([&](ChangerState& state) -> Result<> {
    current = current_among(*numbers, state);
    return {};
  });
  if (!read) return std::unexpected(std::move(read).error());
  return current;
}

Result<std::vector<Slot>> VtapeChanger::inventory() {
  const std::lock_guard lock(mutex_);
  auto numbers = slots();
  if (!numbers) return std::unexpected(std::move(numbers).error());
  std::vector<Slot> found;
  auto read = with_shared_state([&](ChangerState& state) -> Result<> {
    const auto current = current_among(*numbers, state);
    if (!current) return std::unexpected(current.error());
    const auto loaded = state.loaded();
    for (const int number : *numbers) {
      Slot slot;
      slot.name = fmt::format("{}", number);
      slot.current = slot.name == *current;
      const auto entry = std::ranges::find(loaded, slot_name(number), &Loaded::slot);
      if (entry != loaded.end()) slot.in_use_by = entry->pid;
      auto files = volume_files(directory_of(number));
      if (!files) {
        slot.state = LabelState::unreadable;
      } else if (!files->empty() && files->front().number == 0) {
        slot.state = LabelState::labelled;
        slot.label = files->front().name.substr(files->front().name.find_first_of(".-") + 1);
      } else if (!files->empty()) {
        slot.state = LabelState::foreign;
      }
      found.push_back(std::move(slot));
    }
    return {};
  });
  if (!read) return std::unexpected(std::move(read).error());
  return found;
}

// Replaced by renaming, so that there is always one.
Result<> VtapeChanger::point_data_at(int slot) const {
  const fs::path link = settings_.root / "data";
  const fs::path fresh = settings_.root / fmt::format("data.{}", ::getpid());
  std::error_code ignored;
  fs::remove(fresh, ignored);
  if (::symlink(slot_name(slot).c_str(), fresh.c_str()) != 0) {
    return base::fail_errno(fmt::format("link {}", fresh.native()));
  }
  return base::rename_file(fresh, link);
}

Result<int> VtapeChanger::existing(const std::string& slot) {
  auto numbers = slots();
  if (!numbers) return std::unexpected(std::move(numbers).error());
  const auto number = number_in(slot);
  if (!number || !std::ranges::binary_search(*numbers, *number)) {
    return base::fail(ErrorKind::refused, fmt::format("Slot {} not found", slot));
  }
  return *number;
}

Result<std::unique_ptr<volume::Volume>> VtapeChanger::load(const std::string& slot) {
  const std::lock_guard lock(mutex_);
  const auto number = existing(slot);
  if (!number) return std::unexpected(number.error());
  auto taken = with_shared_state([&](ChangerState& state) -> Result<> {
    for (const Loaded& entry : state.loaded()) {
      if (entry.slot == slot_name(*number)) {
        return base::fail(ErrorKind::again, fmt::format("slot {} is in use by process {}", slot, entry.pid));
      }
    }
    state.add_loaded(slot_name(*number), ::getpid());
    return {};
  });
  if (!taken) return std::unexpected(std::move(taken).error());
  return std::make_unique<VtapeVolume>(fmt::format("{}", *number), directory_of(*number), settings_.limits,
                                       [this, number = *number] { return unload(number); });
}

Result<> VtapeChanger::make_current(const std::string& slot) {
  const std::lock_guard lock(mutex_);
  const auto number = existing(slot);
  if (!number) return std::unexpected(number.error());
  return with_shared_state([&](ChangerState& state) -> Result<> {
    state.set_current(settings_.user, slot_name(*number));
    return point_data_at(*number);
  });
}

Result<> VtapeChanger::unload(int slot) {
  const std::lock_guard lock(mutex_);
  return with_shared_state([&](ChangerState& state) -> Result<> {
    state.remove_loaded(slot_name(slot), ::getpid());
    return {};
  });
}

}  // namespace headrace::vtape
