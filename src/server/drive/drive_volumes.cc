// The drive's volume: when one is begun, what is written to it next, and life without one.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/drive/drive.h"

namespace headrace::drive {

using config::Holding;

// Whether a volume can be written to now; asks for one otherwise.
bool Drive::obtain_volume() {
  if (volume_ == Volume::ready) return true;
  if (volume_ != Volume::none) return false;
  if (cancelled_ && writer_) {
    say(DenyVolume{*cancelled_});
  } else if (loads_ >= limits_.volumes) {
    degrade(journal::VolumeTrouble::config,
            limits_.volumes <= 0 ? "no volume is to be used in this run"
                                 : fmt::format("{} volume{} used; runtapes={} does not allow more", loads_,
                                               loads_ == 1 ? "" : "s", limits_.volumes));
  } else {
    volume_ = Volume::loading;
    say(LoadVolume{++loads_});
  }
  return false;
}

// What it held is safe or will be repeated; the next one is loaded when there is something to write.
void Drive::lose_volume(const std::string& why) {
  if (volume_ != Volume::ready) return;
  volume_ = Volume::none;
  if (loads_ >= limits_.volumes)
    degrade(journal::VolumeTrouble::error,
            fmt::format("the last volume that runtapes={} allows failed: {}", limits_.volumes, why));
}

void Drive::degrade(journal::VolumeTrouble trouble, std::string reason) {
  if (volume_ == Volume::gone) return;
  volume_ = Volume::gone;
  gone_reason_ = std::move(reason);
  say(Degraded{trouble, gone_reason_});
  if (writer_) say(DenyVolume{gone_reason_});
}

// Without volumes, holding disk is kept for incrementals: fulls go there as far as `reserve` leaves room, in
// the order of the schedule.
void Drive::degrade_fulls() {
  if (volume_ != Volume::gone || !scheduled_ || std::exchange(fulls_degraded_, true)) return;
  uint64_t kept = holding_.total_kib * static_cast<uint64_t>(limits_.reserve_percent) / 100;
  for (const JobId id : order_) {
    auto& it = jobs_.at(id);
    if (it.state != State::waiting || !it.job.full || it.job.holding == Holding::never) continue;
    if (kept + it.job.est_stored_kib <= holding_.total_kib) {
      kept += it.job.est_stored_kib;
      continue;
    }
    if (!it.job.degraded) {
      give_up(it,
              fmt::format("there is no volume ({}), of {} KiB of holding disk {}% are kept for incrementals "
                          "(reserve), and an incremental cannot be made: {}",
                          gone_reason_, holding_.total_kib, limits_.reserve_percent, it.job.not_degraded));
      continue;
    }
    it.job.full = false;
    it.job.est_stored_kib = it.job.degraded->est_stored_kib;
    it.job.est_kps = it.job.degraded->est_kps;
    it.refused_at.reset();
    say(TakeDegraded{id});
  }
}

// Somebody waits for what only a volume gives: room, or the volume itself.
bool Drive::wants_volume_now() const {
  if (space_wanted_) return true;
  return std::ranges::any_of(order_, [this](JobId id) {
    const auto& it = jobs_.at(id);
    return it.state == State::waiting && !it.job.paused && !it.job.postponed && !obstacle(it) &&
           !fits_holding(it);
  });
}

// Whether enough is held, or expected, to begin a volume for it. One that is begun is written on in any case.
bool Drive::worth_a_volume() const {
  if (volume_ != Volume::none || wants_volume_now()) return true;
  uint64_t held = 0;
  for (const JobId id : images_) held += jobs_.at(id).held_kib;
  if (nothing_comes()) return held > limits_.flush_kib;
  uint64_t scheduled = held;
  for (const JobId id : order_) {
    const auto& it = jobs_.at(id);
    if (it.state == State::waiting || it.state == State::dumping) scheduled += it.job.est_stored_kib;
  }
  return held > limits_.held_threshold_kib && scheduled > limits_.scheduled_threshold_kib;
}

// What is left on the present volume, or on all that may still be used.
uint64_t Drive::room_kib(bool of_all) const {
  if (limits_.volume_kib == 0) return UINT64_MAX;
  const uint64_t here = limits_.volume_kib - std::min(limits_.volume_kib, on_volume_kib_);
  const int64_t more = of_all ? std::max<int64_t>(limits_.volumes - loads_, 0) : 0;
  return here + static_cast<uint64_t>(more) * limits_.volume_kib;
}

// Among the images of the oldest run that has any, by taperalgo; when none fits, the smallest.
std::vector<JobId>::iterator Drive::next_image() {
  using Algorithm = config::TaperAlgorithm;
  const auto algorithm = limits_.algorithm;
  const bool fitting = algorithm == Algorithm::firstfit || algorithm == Algorithm::largestfit ||
                       algorithm == Algorithm::smallestfit || algorithm == Algorithm::lastfit;
  const auto size = [this](JobId id) { return jobs_.at(id).held_kib; };
  const size_t oldest =
      jobs_.at(*std::ranges::min_element(images_, {}, [this](JobId id) { return jobs_.at(id).run; })).run;
  auto best = images_.end();
  auto smallest = images_.end();
  for (auto image = images_.begin(); image != images_.end(); ++image) {
    const auto& it = jobs_.at(*image);
    if (it.run != oldest) continue;
    if (smallest == images_.end() || it.held_kib < size(*smallest)) smallest = image;
    if (fitting && it.held_kib > room_kib(it.job.splits)) continue;
    bool better = best == images_.end();
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
  return best != images_.end() ? best : smallest;
}

void Drive::write_next() {
  if (images_.empty()) return;
  if (!worth_a_volume()) {
    if (!nothing_comes()) {
      for (const JobId id : images_) tell_wait(jobs_.at(id), Wait::thresholds);
      return;
    }
    for (const JobId id : std::exchange(images_, {}))
      leave(jobs_.at(id), "what is held is not worth a volume yet (taperflush)");
    return;
  }
  if (!writer_ && obtain_volume()) {
    const auto next = next_image();
    const JobId id = *next;
    images_.erase(next);
    auto& it = jobs_.at(id);
    it.state = State::writing;
    it.waits.reset();
    ++it.writes;
    writer_ = id;
    say(WriteImage{id});
  }
  if (volume_ == Volume::gone) return;
  for (const JobId id : images_) tell_wait(jobs_.at(id), writer_ ? Wait::volume_writer : Wait::volume);
}

}  // namespace headrace::drive
