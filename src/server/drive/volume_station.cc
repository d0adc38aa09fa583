#include "server/drive/volume_station.h"

#include <utility>

namespace headrace::drive {

using base::ErrorKind;
using base::Result;

Result<std::unique_ptr<VolumeStation>> VolumeStation::open(loop::Loop& loop,
                                                           const config::ServerConfig& config,
                                                           const std::string& timestamp, size_t writers) {
  auto changer = volume::make_changer(config, config.first_storage());
  if (!changer) return std::unexpected(std::move(changer).error());
  return std::unique_ptr<VolumeStation>(
      new VolumeStation(loop, config, timestamp, std::move(*changer), writers));
}

VolumeStation::VolumeStation(loop::Loop& loop, const config::ServerConfig& config, std::string timestamp,
                             std::unique_ptr<volume::Changer> changer, size_t writers)
    : loop_(loop),
      config_(config),
      storage_(config.first_storage()),
      timestamp_(std::move(timestamp)),
      lane_(loop.new_lane()),
      changer_(std::move(changer)),
      rules_(std::make_shared<volume::LabelRules>(
          volume::label_rules(config_, storage_, loop.clock().wall_seconds()))) {
  for (size_t writer = 0; writer < writers; ++writer) places_.push_back({.lane = loop.new_lane()});
}

namespace {

// A volume and the changer it goes back to: whoever has the last share of the volume may outlive the station.
struct KeptVolume {
  std::shared_ptr<volume::Changer> changer;
  std::shared_ptr<volume::Volume> volume;  // dies first
};

}  // namespace

VolumeStation::~VolumeStation() {
  for (size_t writer = 0; writer < places_.size(); ++writer) unload(writer);
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
      [changer = changer_, rules = rules_, timestamp = timestamp_, loading] {
        auto choice = volume::choose_volume(*changer, *rules);
        if (!choice) {
          loading->volume = std::unexpected(std::move(choice).error());
          return;
        }
        loading->notes = std::move(choice->notes);
        if (!choice->chosen) {
          loading->volume = base::fail(ErrorKind::refused, choice->why_none);
          return;
        }
        if (auto begun = volume::begin_volume(*choice->chosen, *rules, timestamp); !begun) {
          loading->volume = std::unexpected(std::move(begun).error());
          return;
        }
        rules->written.insert(choice->chosen->label);
        auto kept = std::make_shared<KeptVolume>(changer, std::move(choice->chosen->volume));
        loading->volume = LoadedVolume{std::shared_ptr<volume::Volume>(kept, kept->volume.get()),
                                       choice->chosen->label, choice->chosen->slot};
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
