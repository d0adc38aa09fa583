#include "server/drive/volume_station.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace headrace::drive {

using base::ErrorKind;
using base::Result;

namespace {

// A volume and the changer it goes back to: whoever has the last share of the volume may outlive the station.
struct KeptVolume {
  std::shared_ptr<volume::Changer> changer;
  std::shared_ptr<volume::Volume> volume;  // dies first
};

// Another run may enter the label that was chosen, or a new one of the same number, before us.
constexpr int kChoices = 5;

}  // namespace

// A volume that was chosen is kept for the load that follows.
struct VolumeStation::Found {
  std::shared_ptr<volume::Changer> changer;
  std::shared_ptr<volume::LabelRules> rules;
  std::optional<volume::ChosenVolume> chosen = {};  // dies first

  // Chooses one unless one is kept.
  Result<> choose(std::vector<std::string>& notes) {
    if (chosen) return {};
    auto choice = volume::choose_volume(*changer, *rules);
    if (!choice) return std::unexpected(std::move(choice).error());
    std::ranges::move(choice->notes, std::back_inserter(notes));
    if (!choice->chosen) return base::fail(ErrorKind::refused, choice->why_none);
    chosen = std::move(choice->chosen);
    return {};
  }
  Result<LoadedVolume> begin(const std::string& timestamp, std::vector<std::string>& notes) {
    for (int tries = 1;; ++tries) {
      if (auto have = choose(notes); !have) return std::unexpected(std::move(have).error());
      auto begun = volume::begin_volume(*chosen, *rules, timestamp);
      volume::ChosenVolume used = std::move(*std::exchange(chosen, std::nullopt));
      if (begun) {
        rules->written.insert(used.label);
        rules->used_slots.insert(used.slot);
        auto kept = std::make_shared<KeptVolume>(changer, std::move(used.volume));
        return LoadedVolume{std::shared_ptr<volume::Volume>(kept, kept->volume.get()), used.label, used.slot};
      }
      if (begun.error().kind() != ErrorKind::again || tries == kChoices)
        return std::unexpected(std::move(begun).error());
      // Somebody changed what is known of it since: another one may be the right one now.
      notes.push_back(begun.error().what());
    }
  }
};

VolumeStation::VolumeStation(loop::Loop& loop, const config::ServerConfig& config,
                             const config::Storage& storage, std::string timestamp,
                             std::shared_ptr<volume::Changer> changer, size_t writers)
    : loop_(loop),
      config_(config),
      storage_(storage),
      timestamp_(std::move(timestamp)),
      lane_(loop.new_lane()),
      found_(std::make_shared<Found>(
          std::move(changer), std::make_shared<volume::LabelRules>(
                                  volume::label_rules(config_, storage_, loop.clock().wall_seconds())))) {
  for (size_t writer = 0; writer < writers; ++writer) places_.push_back({.lane = loop.new_lane()});
}

VolumeStation::~VolumeStation() {
  for (size_t writer = 0; writer < places_.size(); ++writer) unload(writer);
  loop_.offload_surely(lane_, [found = std::move(found_)]() mutable { found.reset(); });
}

void VolumeStation::find(std::move_only_function<void(Finding)> done) {
  auto finding = std::make_shared<Finding>();
  loop_.offload(
      lane_,
      [found = found_, finding] {
        if (const auto chosen = found->choose(finding->notes); !chosen)
          finding->why_none = chosen.error().what();
      },
      [alive = alive_.ref(), finding, done = std::move(done)]() mutable {
        if (!alive.expired()) done(std::move(*finding));
      });
}

void VolumeStation::load(size_t writer, std::move_only_function<void(Loading)> done) {
  // What the writer unloaded must be out of its drive before the next one comes in.
  loop_.offload(
      lane(writer), [] {},
      [this, alive = alive_.ref(), writer, done = std::move(done)]() mutable {
        if (!alive.expired()) choose(writer, std::move(done));
      });
}

void VolumeStation::choose(size_t writer, std::move_only_function<void(Loading)> done) {
  auto loading = std::make_shared<Loading>();
  loop_.offload(
      lane_,
      [found = found_, timestamp = timestamp_, loading] {
        loading->volume = found->begin(timestamp, loading->notes);
      },
      [this, alive = alive_.ref(), writer, loading, done = std::move(done)]() mutable {
        if (alive.expired()) return;
        if (loading->volume) places_[writer].current = *loading->volume;
        done(std::move(*loading));
      });
}

void VolumeStation::hand_over(size_t from, size_t to) {
  HEADRACE_CHECK(loaded(from) && !loaded(to));
  places_[to].current = std::exchange(places_[from].current, {});
}

void VolumeStation::unload(size_t writer) {
  if (!loaded(writer)) return;
  auto volume = std::exchange(places_[writer].current, {}).volume;
  // The last share goes on the lane: unloading a tape takes its time.
  loop_.offload_surely(lane(writer), [volume = std::move(volume)]() mutable { volume.reset(); });
}

}  // namespace headrace::drive
