#include "server/drive/writers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace headrace::drive {

Writers::Writers(const StorageLimits& limits)
    : writers_(static_cast<size_t>(
          std::clamp<int64_t>(limits.parallel_writes, 1, std::max<int64_t>(limits.volumes, 1)))),
      volumes_(limits.volumes),
      volume_kib_(limits.volume_kib),
      most_dumps_(std::max<int64_t>(limits.dumps_on_volume, 1)) {}

std::optional<size_t> Writers::idle(Volume volume) const {
  for (size_t i = 0; i < writers_.size(); ++i)
    if (writers_[i].idle() && writers_[i].volume == volume) return i;
  return std::nullopt;
}

size_t Writers::count_idle(Volume volume) const {
  return static_cast<size_t>(std::ranges::count_if(
      writers_, [volume](const Writer& it) { return it.idle() && it.volume == volume; }));
}

std::optional<size_t> Writers::of(JobId job) const {
  for (size_t i = 0; i < writers_.size(); ++i)
    if (writers_[i].job == job) return i;
  return std::nullopt;
}

bool Writers::any(Volume volume) const {
  return std::ranges::any_of(writers_, [volume](const Writer& it) { return it.volume == volume; });
}

bool Writers::any_job() const {
  return std::ranges::any_of(writers_, [](const Writer& it) { return !it.idle(); });
}

bool Writers::others_write(size_t writer) const {
  for (size_t i = 0; i < writers_.size(); ++i)
    if (i != writer && !writers_[i].idle()) return true;
  return false;
}

std::string Writers::why_no_more() const {
  if (no_more_) return *no_more_;
  if (volumes_ <= 0) return "no volume is to be used in this run";
  return fmt::format("{} volume{} used; runtapes={} does not allow more{}", loads_, loads_ == 1 ? "" : "s",
                     volumes_,
                     retired_ ? fmt::format(", max-dle-by-volume={} ended the last", most_dumps_) : "");
}

journal::VolumeTrouble Writers::trouble() const {
  return no_more_ ? journal::VolumeTrouble::error : journal::VolumeTrouble::config;
}

int Writers::begin_load(size_t writer) {
  HEADRACE_CHECK(writers_[writer].volume == Volume::none && may_load());
  writers_[writer].volume = Volume::loading;
  writers_[writer].written_kib = 0;
  writers_[writer].dumps = writers_[writer].idle() ? 0 : 1;
  return ++loads_;
}

void Writers::ready(size_t writer) {
  HEADRACE_CHECK(writers_.at(writer).volume == Volume::loading);
  writers_[writer].volume = Volume::ready;
}

void Writers::end_volume(size_t writer) {
  writers_[writer].volume = Volume::none;
  retired_ = false;
}

void Writers::retire(size_t writer) {
  HEADRACE_CHECK(writers_[writer].idle() && has_all_dumps(writer));
  end_volume(writer);
  retired_ = true;
}

std::optional<uint64_t> Writers::room_for_dumps() const {
  if (!any_volume() && !retired_) return std::nullopt;
  uint64_t room = 0;
  for (const auto& it : writers_) {
    if (!it.has_volume()) continue;
    const auto more = static_cast<uint64_t>(std::max<int64_t>(most_dumps_ - it.dumps, 0));
    room = more > UINT64_MAX - room ? UINT64_MAX : room + more;
  }
  return room;
}

void Writers::hand_over(size_t from, size_t to) {
  HEADRACE_CHECK(writers_[from].idle() && writers_[from].volume == Volume::ready);
  HEADRACE_CHECK(writers_[to].volume == Volume::none);
  writers_[to].volume = std::exchange(writers_[from].volume, Volume::none);
  writers_[to].written_kib = writers_[from].written_kib;
  writers_[to].dumps = writers_[from].dumps + 1;
}

void Writers::begin_job(size_t writer, JobId job, uint64_t kib) {
  HEADRACE_CHECK(writers_[writer].idle() && writers_[writer].volume == Volume::ready);
  writers_[writer].job = job;
  writers_[writer].job_kib = kib;
  ++writers_[writer].dumps;
}

void Writers::end_job(size_t writer, bool written) {
  auto& it = writers_[writer];
  if (written) it.written_kib += it.job_kib;
  it.job.reset();
  it.job_kib = 0;
  it.denied = false;
}

uint64_t Writers::room_kib(size_t writer, bool of_all) const {
  if (volume_kib_ == 0) return UINT64_MAX;
  const auto& it = writers_[writer];
  const uint64_t here =
      has_all_dumps(writer) ? 0 : volume_kib_ - std::min(volume_kib_, it.written_kib + it.job_kib);
  const int64_t more = of_all && !no_more_ ? std::max<int64_t>(volumes_ - loads_, 0) : 0;
  return here + static_cast<uint64_t>(more) * volume_kib_;
}

uint64_t Writers::room_kib() const {
  uint64_t room = 0;
  for (size_t i = 0; i < writers_.size(); ++i) {
    if (!writers_[i].has_volume()) continue;
    if (volume_kib_ == 0) return UINT64_MAX;
    room += room_kib(i, false);
  }
  return room;
}

}  // namespace headrace::drive
