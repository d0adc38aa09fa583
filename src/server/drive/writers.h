// A storage's writers and the volume of each, as the drive (drive.h) counts them: what is loaded, what is
// being written, what room is left, how many volumes the run may still use. Pure; owned by the drive. What is
// written, and when a volume is begun, the drive decides.
//
//   none ──begin_load──▶ loading ──ready──▶ ready ──end_volume──▶ none
//
// A writer whose volume ends in the middle of an image keeps the image: it goes on on the next volume, or is
// denied and then fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/drive/drive_messages.h"

namespace headrace::drive {

class Writers {
 public:
  enum class Volume { none, loading, ready };
  struct Writer {
    Volume volume = Volume::none;
    std::optional<JobId> job = {};  // what is being written: a held image or a direct dump
    uint64_t job_kib = 0;           // as known or expected
    bool denied = false;            // its image gets no further volume
    uint64_t written_kib = 0;       // to the present volume
    int64_t dumps = 0;              // on the present volume, also parts of them and what failed
    bool idle() const { return !job; }
    bool has_volume() const { return volume != Volume::none; }
  };

  // As many as `limits` allows: taper-parallel-write, within runtapes.
  explicit Writers(const StorageLimits& limits);

  size_t size() const { return writers_.size(); }
  const Writer& at(size_t writer) const { return writers_[writer]; }
  const std::vector<Writer>& all() const { return writers_; }

  // The first that writes nothing and whose volume is in that state.
  std::optional<size_t> idle(Volume volume) const;
  size_t count_idle(Volume volume) const;
  // Who writes that job.
  std::optional<size_t> of(JobId job) const;
  bool any(Volume volume) const;
  bool any_volume() const { return any(Volume::ready) || any(Volume::loading); }
  bool any_job() const;
  // Whether any but this one is writing.
  bool others_write(size_t writer) const;

  bool may_load() const { return !no_more_ && loads_ < volumes_; }
  // Why may_load() is false.
  std::string why_no_more() const;
  journal::VolumeTrouble trouble() const;
  int loads() const { return loads_; }
  // The sequence number of the volume, from 1.
  int begin_load(size_t writer);
  void ready(size_t writer);
  void end_volume(size_t writer);
  // The changer has no further one.
  void no_more(std::string why) { no_more_ = std::move(why); }
  // The volume of an idle writer goes to one that has none.
  void hand_over(size_t from, size_t to);
  void deny(size_t writer) { writers_[writer].denied = true; }

  void begin_job(size_t writer, JobId job, uint64_t kib);
  // `written`: all of it is on volumes.
  void end_job(size_t writer, bool written);

  // Its volume takes no further dump.
  bool has_all_dumps(size_t writer) const { return writers_[writer].dumps >= most_dumps_; }
  // How many more dumps the loaded volumes take; nothing: none of them was begun, or the last one ended
  // otherwise.
  std::optional<uint64_t> room_for_dumps() const;
  // The volume of an idle writer that has_all_dumps().
  void retire(size_t writer);

  // What is left on its volume (a whole one while it is loaded), after what is being written; with `of_all`
  // also on the volumes that may still be loaded. UINT64_MAX: a volume's size is not known.
  uint64_t room_kib(size_t writer, bool of_all) const;
  // On all volumes that are loaded.
  uint64_t room_kib() const;

 private:
  std::vector<Writer> writers_;
  int64_t volumes_;
  uint64_t volume_kib_;
  int64_t most_dumps_;
  bool retired_ = false;  // the volume that ended last
  int loads_ = 0;
  std::optional<std::string> no_more_;
};

}  // namespace headrace::drive
