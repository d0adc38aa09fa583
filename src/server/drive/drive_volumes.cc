// The drive's volume: when one is begun, what is written to it next, and life without one.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/drive/drive.h"

namespace headrace::drive {

using config::Holding;

// For one who wants an idle writer with a volume when there is none: whether one is on its way; asks for one
// where that is possible.
Drive::Coming Drive::claim_volume() {
  if (gone_) return Coming::never;
  if (look_ == Look::going_on) return Coming::yes;
  if (writers_.count_idle(Volume::loading) > claimed_) {
    ++claimed_;
    return Coming::yes;
  }
  const auto writer = writers_.idle(Volume::none);
  if (!writer) return Coming::no;
  if (writers_.may_load()) {
    ++claimed_;
    say(LoadVolume{writers_.begin_load(*writer), *writer});
    return Coming::yes;
  }
  if (writers_.any_volume()) return Coming::no;
  degrade(writers_.trouble(), writers_.why_no_more());
  return Coming::never;
}

// The writer's image needs another volume.
void Drive::go_on(size_t writer) {
  if (cancelled_) {
    writers_.deny(writer);
    return say(DenyVolume{*cancelled_, writer});
  }
  if (const auto other = writers_.idle(Volume::ready)) {
    writers_.hand_over(*other, writer);
    return say(HandOverVolume{*other, writer});
  }
  if (writers_.may_load()) return say(LoadVolume{writers_.begin_load(writer), writer});
  if (!writers_.any_volume()) return degrade(writers_.trouble(), writers_.why_no_more());
  writers_.deny(writer);
  say(DenyVolume{writers_.why_no_more(), writer});
}

void Drive::stop_writing(JobId id, bool written, bool volume_lost, const std::string& why) {
  const auto writer = writers_.of(id);
  if (!writer) return;
  writers_.end_job(*writer, written);
  if (volume_lost) lose_volume(*writer, why);
}

// What it held is safe or will be repeated; the next one is loaded when there is something to write.
void Drive::lose_volume(size_t writer, const std::string& why) {
  if (writers_.at(writer).volume != Volume::ready) return;
  writers_.end_volume(writer);
  if (writers_.may_load() || writers_.any_volume()) return;
  degrade(journal::VolumeTrouble::error,
          writers_.trouble() == journal::VolumeTrouble::error
              ? writers_.why_no_more()
              : fmt::format("the last volume that runtapes={} allows failed: {}", limits_.volumes, why));
}

void Drive::degrade(journal::VolumeTrouble trouble, std::string reason) {
  if (std::exchange(gone_, true)) return;
  gone_reason_ = std::move(reason);
  say(Degraded{trouble, gone_reason_});
  for (size_t writer = 0; writer < writers_.size(); ++writer) {
    if (writers_.at(writer).idle() || writers_.at(writer).denied) continue;
    writers_.deny(writer);
    say(DenyVolume{gone_reason_, writer});
  }
}

// The look for the first volume found none, and there is something to write.
void Drive::degrade_when_known() {
  if (look_ == Look::done && !gone_ && writers_.loads() == 0 && !writers_.may_load() && ended_ < jobs_.size())
    degrade(writers_.trouble(), writers_.why_no_more());
}

// Without volumes, holding disk is kept for incrementals: fulls go there as far as `reserve` leaves room, in
// the order of the schedule.
void Drive::degrade_fulls() {
  if (!gone_ || !scheduled_ || std::exchange(fulls_degraded_, true)) return;
  uint64_t kept = holding_.total_kib * static_cast<uint64_t>(limits_.reserve_percent) / 100;
  for (const JobId id : order_) {
    auto& it = jobs_.at(id);
    if (it.state != State::waiting || !it.job.full || it.job.holding == Holding::never) continue;
    if (kept + it.job.est_stored_kib <= holding_.total_kib) {
      kept += it.job.est_stored_kib;
      continue;
    }
    // An incremental made after a full that failed here, but is recorded there, would lack what is between.
    const bool tried = it.attempts > 0;
    if (!it.job.degraded || tried) {
      give_up(it,
              fmt::format("there is no volume ({}), of {} KiB of holding disk {}% are kept for incrementals "
                          "(reserve), and an incremental cannot be made: {}",
                          gone_reason_, holding_.total_kib, limits_.reserve_percent,
                          tried ? "its client may have recorded the full that failed (" + it.failure + ")"
                                : it.job.not_degraded));
      continue;
    }
    it.job.full = false;
    it.job.est_stored_kib = it.job.degraded->est_stored_kib;
    it.job.est_kps = it.job.degraded->est_kps;
    it.job.own_kps = it.job.degraded->own_kps;
    it.refused_at.reset();
    say(TakeDegraded{id});
  }
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

bool Drive::direct_dump_waits() const {
  return std::ranges::any_of(order_, [this](JobId id) {
    const auto& it = jobs_.at(id);
    return it.job.holding != Holding::required && could_start(it);
  });
}

// Whether enough is held, or expected, to begin a volume, or a further one, for it.
bool Drive::worth_a_volume() const {
  if (room_is_short()) return true;
  if (const auto room = writers_.room_for_dumps(); room && images_.size() > *room) return true;
  // With the first volume it is seen whether anything comes of those that wait.
  if (!writers_.any_volume() &&
      std::ranges::any_of(order_, [this](JobId id) { return could_start(jobs_.at(id)); }))
    return true;
  uint64_t held = 0;
  for (const JobId id : images_) held += jobs_.at(id).held_kib;
  held -= std::min(held, writers_.room_kib());
  if (nothing_comes()) return held > limits_.flush_kib;
  uint64_t scheduled = held;
  for (const JobId id : order_) {
    const auto& it = jobs_.at(id);
    if (it.state == State::waiting || it.state == State::dumping) scheduled += it.job.est_stored_kib;
  }
  return held > limits_.held_threshold_kib && scheduled > limits_.scheduled_threshold_kib;
}

// Among the images of the oldest run that has any, by taperalgo; when none fits, the smallest, unless others
// write.
std::vector<JobId>::iterator Drive::next_image(size_t writer) {
  using Algorithm = config::TaperAlgorithm;
  const auto algorithm = limits_.algorithm;
  const bool alone = !writers_.others_write(writer);
  const bool fitting = !alone || algorithm == Algorithm::firstfit || algorithm == Algorithm::largestfit ||
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
    if (fitting && it.held_kib > writers_.room_kib(writer, it.job.splits)) continue;
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
  return best != images_.end() || !alone ? best : smallest;
}

// One of several writers is left to dumps that can go nowhere else.
bool Drive::images_may_take_writer() const {
  if (writers_.size() == 1) return true;
  size_t by_images = 0;
  bool direct = false;
  for (const auto& writer : writers_.all()) {
    if (writer.idle()) continue;
    const bool image = jobs_.at(*writer.job).state == State::writing;
    by_images += image ? 1 : 0;
    direct = direct || !image;
  }
  return direct || by_images + 1 < writers_.size() || !direct_dump_waits();
}

void Drive::begin_write(std::vector<JobId>::iterator image, size_t writer) {
  auto& it = jobs_.at(*image);
  images_.erase(image);
  it.state = State::writing;
  it.waits.reset();
  ++it.writes;
  writers_.begin_job(writer, it.job.id, it.held_kib);
  say(WriteImage{it.job.id, writer});
}

// A volume that is begun is written on in any case.
void Drive::write_on_ready() {
  while (!images_.empty() && images_may_take_writer()) {
    const auto writer = writers_.idle(Volume::ready);
    if (!writer) return;
    const auto next = next_image(*writer);
    if (next == images_.end()) return;
    begin_write(next, *writer);
  }
}

void Drive::retire_volumes() {
  for (size_t writer = 0; writer < writers_.size(); ++writer) {
    const auto& it = writers_.at(writer);
    if (!it.idle() || it.volume != Volume::ready || !writers_.has_all_dumps(writer)) continue;
    writers_.retire(writer);
    say(EndVolume{writer});
  }
}

void Drive::write_next() {
  claimed_ = 0;
  retire_volumes();
  write_on_ready();
  if (images_.empty()) return;
  if (!worth_a_volume()) {
    if (!writers_.any_volume() && !writers_.any_job()) return wait_or_leave();
  } else if (images_may_take_writer()) {
    claim_volume();
  }
  if (gone_) return;
  const bool coming = writers_.count_idle(Volume::loading) > 0;
  for (const JobId id : images_) tell_wait(jobs_.at(id), coming ? Wait::volume : Wait::volume_writer);
}

// Not enough is held to begin a volume.
void Drive::wait_or_leave() {
  if (!nothing_comes()) {
    for (const JobId id : images_) tell_wait(jobs_.at(id), Wait::thresholds);
    return;
  }
  for (const JobId id : std::exchange(images_, {}))
    leave(jobs_.at(id), "what is held is not worth a volume yet (taperflush)", Left::thresholds);
}

}  // namespace headrace::drive
