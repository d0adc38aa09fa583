// The drive's volumes: when one is begun, what is written to it next, and life without one; storage by
// storage.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "server/drive/drive.h"

namespace headrace::drive {

using config::Holding;
using journal::Destination;

// Whether a dump that is still to come would be written to it.
bool Drive::selects(const Store& store, const JobState& it) {
  return std::ranges::find(it.job.storages, store.storage) != it.job.storages.end();
}

// Whether there is, or will be, anything to write to it.
bool Drive::is_wanted(const Store& store) const {
  if (!store.images.empty() || store.writers.any_job()) return true;
  return std::ranges::any_of(order_, [&](JobId id) {
    const auto& it = jobs_.at(id);
    return (it.state == State::waiting || it.state == State::dumping) && selects(store, it);
  });
}

// No storage that it selects has a volume for it, or will.
bool Drive::gone_for(const JobState& it) const {
  return std::ranges::all_of(it.job.storages, [this](size_t storage) { return stores_[storage].gone; });
}

std::string Drive::why_gone(const JobState& it) const {
  std::string why;
  for (const size_t storage : it.job.storages) {
    const auto& store = stores_[storage];
    if (!store.gone) continue;
    if (!why.empty()) why += "; ";
    why += stores_.size() == 1 ? store.gone_reason
                               : fmt::format("storage {}: {}", store.limits.name, store.gone_reason);
  }
  return why;
}

std::pair<Drive::Store&, size_t> Drive::place_of(size_t writer) {
  for (auto& store : stores_)
    if (writer - store.first_writer < store.writers.size()) return {store, writer - store.first_writer};
  HEADRACE_CHECK(false);
}

// For one who wants an idle writer with a volume when there is none: whether one is on its way; asks for one
// where that is possible.
Drive::Coming Drive::claim_volume(Store& store) {
  if (store.gone) return Coming::never;
  if (store.look == Look::going_on) return Coming::yes;
  auto& writers = store.writers;
  if (writers.count_idle(Volume::loading) > store.claimed) {
    ++store.claimed;
    return Coming::yes;
  }
  const auto writer = writers.idle(Volume::none);
  if (!writer) return Coming::no;
  if (writers.may_load()) {
    ++store.claimed;
    say(LoadVolume{writers.begin_load(*writer), store.first_writer + *writer});
    return Coming::yes;
  }
  if (writers.any_volume()) return Coming::no;
  degrade(store, writers.trouble(), writers.why_no_more());
  return Coming::never;
}

// The writer's image needs another volume.
void Drive::go_on(Store& store, size_t writer) {
  auto& writers = store.writers;
  const size_t number = store.first_writer + writer;
  if (cancelled_) {
    writers.deny(writer);
    return say(DenyVolume{*cancelled_, number});
  }
  if (const auto other = writers.idle(Volume::ready)) {
    writers.hand_over(*other, writer);
    return say(HandOverVolume{store.first_writer + *other, number});
  }
  if (writers.may_load()) return say(LoadVolume{writers.begin_load(writer), number});
  if (!writers.any_volume()) return degrade(store, writers.trouble(), writers.why_no_more());
  writers.deny(writer);
  say(DenyVolume{writers.why_no_more(), number});
}

void Drive::stop_writing(Store& store, JobId id, bool written, bool volume_lost, const std::string& why) {
  const auto writer = store.writers.of(id);
  if (!writer) return;
  store.writers.end_job(*writer, written);
  if (volume_lost) lose_volume(store, *writer, why);
}

void Drive::stop_direct(JobId id, bool written, bool volume_lost, const std::string& why) {
  for (auto& store : stores_) stop_writing(store, id, written, volume_lost, why);
}

// What it held is safe or will be repeated; the next one is loaded when there is something to write.
void Drive::lose_volume(Store& store, size_t writer, const std::string& why) {
  auto& writers = store.writers;
  if (writers.at(writer).volume != Volume::ready) return;
  writers.end_volume(writer);
  if (writers.may_load() || writers.any_volume()) return;
  degrade(store, journal::VolumeTrouble::error,
          writers.trouble() == journal::VolumeTrouble::error
              ? writers.why_no_more()
              : fmt::format("the last volume that runtapes={} allows failed: {}", store.limits.volumes, why));
}

void Drive::degrade(Store& store, journal::VolumeTrouble trouble, std::string reason) {
  if (std::exchange(store.gone, true)) return;
  store.gone_reason = std::move(reason);
  say(Degraded{trouble, store.gone_reason, store.storage});
  auto& writers = store.writers;
  for (size_t writer = 0; writer < writers.size(); ++writer) {
    if (writers.at(writer).idle() || writers.at(writer).denied) continue;
    writers.deny(writer);
    say(DenyVolume{store.gone_reason, store.first_writer + writer});
  }
}

// The look for the first volume found none, and there is something to write.
void Drive::degrade_when_known(Store& store) {
  const auto& writers = store.writers;
  if (store.look == Look::done && !store.gone && writers.loads() == 0 && !writers.may_load() &&
      is_wanted(store))
    degrade(store, writers.trouble(), writers.why_no_more());
}

// Without volumes for all it selects, holding disk is kept for incrementals: fulls go there as far as
// `reserve` leaves room, in the order of the schedule.
bool Drive::degrade_fulls(Store& store) {
  if (!store.gone || !scheduled_ || std::exchange(store.fulls_degraded, true)) return false;
  bool any = false;
  uint64_t kept = holding_.total_kib * static_cast<uint64_t>(limits_.reserve_percent) / 100;
  for (const JobId id : order_) {
    auto& it = jobs_.at(id);
    if (it.state != State::waiting || !it.job.full || it.job.holding == Holding::never || !selects(store, it))
      continue;
    if (kept + it.job.est_stored_kib <= holding_.total_kib) {
      kept += it.job.est_stored_kib;
      continue;
    }
    any = true;
    // An incremental made after a full that failed here, but is recorded there, would lack what is between.
    const bool tried = it.attempts > 0;
    if (!it.job.degraded || tried) {
      give_up(it,
              fmt::format("there is no volume ({}), of {} KiB of holding disk {}% are kept for incrementals "
                          "(reserve), and an incremental cannot be made: {}",
                          why_gone(it), holding_.total_kib, limits_.reserve_percent,
                          tried ? "its client may have recorded the full that failed (" + it.failure + ")"
                                : it.job.not_degraded),
              Lost::reserved);
      continue;
    }
    it.job.full = false;
    ordered_.reset();
    it.job.est_stored_kib = it.job.degraded->est_stored_kib;
    it.job.est_kps = it.job.degraded->est_kps;
    it.job.own_kps = it.job.degraded->own_kps;
    it.job.storages = it.job.degraded->storages;
    it.refused_at.reset();
    say(TakeDegraded{id});
  }
  return any;
}

// Beside others that write, a dump goes only where it fits, as a held image does.
std::optional<size_t> Drive::writer_for(const Store& store, const JobState& it) {
  const auto& writers = store.writers;
  for (size_t writer = 0; writer < writers.size(); ++writer) {
    if (!writers.at(writer).idle() || writers.at(writer).volume != Volume::ready) continue;
    if (!writers.others_write(writer) || it.job.est_stored_kib <= writers.room_kib(writer, it.job.splits))
      return writer;
  }
  return std::nullopt;
}

// To the first of its storages that can take it now, or will soon.
std::optional<Wait> Drive::start_on_volume(JobState& it) {
  for (const size_t storage : it.job.storages) {
    auto& store = stores_[storage];
    if (store.gone) continue;
    if (const auto writer = writer_for(store, it)) {
      it.to = Destination::volume;
      store.writers.begin_job(*writer, it.job.id, it.job.est_stored_kib);
      begin_dump(it, store.first_writer + *writer);
      return std::nullopt;
    }
    if (claim_volume(store) == Coming::yes) return Wait::volume;
  }
  // Without volumes a dump that would rather go there may do with holding disk.
  if (gone_for(it)) return start(it);
  return it.job.holding == Holding::never || it.job.holding == Holding::when_degraded || it.prefers_volume
             ? Wait::volume_writer
             : Wait::holding_space;
}

// Nothing but room, or a volume, is in its way.
bool Drive::could_start(const JobState& it) const {
  return it.state == State::waiting && !it.job.paused && !it.job.postponed && !obstacle(it) &&
         !fits_holding(it);
}

// Somebody waits for room that only writing images makes.
bool Drive::room_is_short() const {
  if (space_wanted_) return true;
  return std::ranges::any_of(order_, [this](JobId id) {
    const auto& it = jobs_.at(id);
    return it.job.holding != Holding::never && it.job.holding != Holding::when_degraded &&
           it.job.est_stored_kib <= holding_.total_kib && could_start(it);
  });
}

bool Drive::direct_dump_waits(const Store& store) const {
  return std::ranges::any_of(order_, [&](JobId id) {
    const auto& it = jobs_.at(id);
    return it.job.holding != Holding::required && selects(store, it) && could_start(it);
  });
}

// No dump is under way to it or will be.
bool Drive::nothing_comes(const Store& store) const {
  return scheduled_ && std::ranges::none_of(order_, [&](JobId id) {
           const auto& it = jobs_.at(id);
           return (it.state == State::waiting || it.state == State::dumping) && selects(store, it);
         });
}

// Whether enough is held, or expected, to begin a volume, or a further one, for it.
bool Drive::worth_a_volume(const Store& store) const {
  if (room_is_short()) return true;
  const auto& writers = store.writers;
  if (const auto room = writers.room_for_dumps(); room && store.images.size() > *room) return true;
  // With the first volume it is seen whether anything comes of those that wait.
  if (!writers.any_volume() && std::ranges::any_of(order_, [&](JobId id) {
        const auto& it = jobs_.at(id);
        return selects(store, it) && could_start(it);
      }))
    return true;
  uint64_t held = 0;
  for (const JobId id : store.images) held += jobs_.at(id).held_kib;
  held -= std::min(held, writers.room_kib());
  if (nothing_comes(store)) return held > store.limits.flush_kib;
  uint64_t scheduled = held;
  for (const JobId id : order_) {
    const auto& it = jobs_.at(id);
    if ((it.state == State::waiting || it.state == State::dumping) && selects(store, it))
      scheduled += it.job.est_stored_kib;
  }
  return held > store.limits.held_threshold_kib && scheduled > store.limits.scheduled_threshold_kib;
}

// Among the images of the oldest run that has any, by taperalgo; when none fits, the smallest, unless others
// write.
std::vector<JobId>::iterator Drive::next_image(Store& store, size_t writer) {
  using Algorithm = config::TaperAlgorithm;
  const auto algorithm = store.limits.algorithm;
  const auto& writers = store.writers;
  auto& images = store.images;
  const bool alone = !writers.others_write(writer);
  const bool fitting = !alone || algorithm == Algorithm::firstfit || algorithm == Algorithm::largestfit ||
                       algorithm == Algorithm::smallestfit || algorithm == Algorithm::lastfit;
  const auto size = [this](JobId id) { return jobs_.at(id).held_kib; };
  const size_t oldest =
      jobs_.at(*std::ranges::min_element(images, {}, [this](JobId id) { return jobs_.at(id).run; })).run;
  auto best = images.end();
  auto smallest = images.end();
  for (auto image = images.begin(); image != images.end(); ++image) {
    const auto& it = jobs_.at(*image);
    if (it.run != oldest) continue;
    if (smallest == images.end() || it.held_kib < size(*smallest)) smallest = image;
    if (fitting && it.held_kib > writers.room_kib(writer, it.job.splits)) continue;
    bool better = best == images.end();
    switch (algorithm) {
      case Algorithm::first:
      case Algorithm::firstfit:
        break;
      case Algorithm::largest:
      case Algorithm::largestfit:
        better = better || it.held_kib > size(*best);
        break;
      case Algorithm::smallest:
      case Algorithm::smallestfit:
        better = better || it.held_kib < size(*best);
        break;
      case Algorithm::last:
      case Algorithm::lastfit:
        better = true;
        break;
    }
    if (better) best = image;
  }
  return best != images.end() || !alone ? best : smallest;
}

// One of several writers is left to dumps that can go nowhere else.
bool Drive::images_may_take_writer(const Store& store) const {
  if (store.writers.size() == 1) return true;
  size_t by_images = 0;
  bool direct = false;
  for (const auto& writer : store.writers.all()) {
    if (writer.idle()) continue;
    const bool image = jobs_.at(*writer.job).state == State::held;
    by_images += image ? 1 : 0;
    direct = direct || !image;
  }
  return direct || by_images + 1 < store.writers.size() || !direct_dump_waits(store);
}

void Drive::begin_write(Store& store, std::vector<JobId>::iterator image, size_t writer) {
  auto& it = jobs_.at(*image);
  store.images.erase(image);
  // What it waits for elsewhere is told again when this is over.
  for (auto& copy : it.copies) copy.waits.reset();
  auto& copy = it.copies[store.storage];
  copy.state = Copy::State::writing;
  ++copy.writes;
  store.writers.begin_job(writer, it.job.id, it.held_kib);
  say(WriteImage{it.job.id, store.first_writer + writer});
}

// A volume that is begun is written on in any case.
void Drive::write_on_ready(Store& store) {
  while (!store.images.empty() && images_may_take_writer(store)) {
    const auto writer = store.writers.idle(Volume::ready);
    if (!writer) return;
    const auto next = next_image(store, *writer);
    if (next == store.images.end()) return;
    begin_write(store, next, *writer);
  }
}

void Drive::retire_volumes(Store& store) {
  for (size_t writer = 0; writer < store.writers.size(); ++writer) {
    const auto& it = store.writers.at(writer);
    if (!it.idle() || it.volume != Volume::ready || !store.writers.has_all_dumps(writer)) continue;
    store.writers.retire(writer);
    say(EndVolume{store.first_writer + writer});
  }
}

void Drive::write_next(Store& store) {
  store.claimed = 0;
  retire_volumes(store);
  write_on_ready(store);
  if (store.images.empty()) return;
  if (!worth_a_volume(store)) {
    if (!store.writers.any_volume() && !store.writers.any_job()) return wait_or_leave(store);
  } else if (images_may_take_writer(store)) {
    claim_volume(store);
  }
  if (store.gone) return;
  const bool coming = store.writers.count_idle(Volume::loading) > 0;
  for (const JobId id : store.images)
    tell_wait(store, jobs_.at(id), coming ? Wait::volume : Wait::volume_writer);
}

// Not enough is held to begin a volume.
void Drive::wait_or_leave(Store& store) {
  if (nothing_comes(store))
    return leave_all(store, "what is held is not worth a volume yet (taperflush)", Left::thresholds);
  for (const JobId id : store.images) tell_wait(store, jobs_.at(id), Wait::thresholds);
}

}  // namespace headrace::drive
