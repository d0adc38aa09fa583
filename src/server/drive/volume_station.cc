#include "server/drive/volume_station.h"

#include <utility>

namespace headrace::drive {

using base::ErrorKind;
using base::Result;

Result<std::unique_ptr<VolumeStation>> VolumeStation::open(loop::Loop& loop,
                                                           const config::ServerConfig& config,
                                                           const std::string& timestamp) {
  auto changer = volume::make_changer(config, config.first_storage());
  if (!changer) return std::unexpected(std::move(changer).error());
  return std::unique_ptr<VolumeStation>(new VolumeStation(loop, config, timestamp, std::move(*changer)));
}

VolumeStation::VolumeStation(loop::Loop& loop, const config::ServerConfig& config, std::string timestamp,
                             std::unique_ptr<volume::Changer> changer)
    : loop_(loop),
      config_(config),
      storage_(config.first_storage()),
      timestamp_(std::move(timestamp)),
      lane_(loop.new_lane()),
      changer_(std::move(changer)),
      rules_(std::make_shared<volume::LabelRules>(
          volume::label_rules(config_, storage_, loop.clock().wall_seconds()))) {}

namespace {

// A volume and the changer it goes back to: whoever has the last share of the volume may outlive the station.
struct KeptVolume {
  std::shared_ptr<volume::Changer> changer;
  std::shared_ptr<volume::Volume> volume;  // dies first
};

}  // namespace

VolumeStation::~VolumeStation() { unload(); }

void VolumeStation::load(std::move_only_function<void(Loading)> done) {
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
      [this, alive = alive_.ref(), loading, done = std::move(done)]() mutable {
        if (alive.expired()) return;
        if (loading->volume) current_ = *loading->volume;
        done(std::move(*loading));
      });
}

void VolumeStation::unload() {
  if (!loaded()) return;
  auto volume = std::exchange(current_, {}).volume;
  // The last share goes on the lane: unloading a tape takes its time.
  loop_.offload_surely(lane_, [volume = std::move(volume)]() mutable { volume.reset(); });
}

}  // namespace headrace::drive
