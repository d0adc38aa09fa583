// How fast each disk's dumps went at each joint of their way in earlier runs, had the others not held them
// up: one small file of a configuration, brought up to date by each run. What a dump is given to by its own
// machine does not change with what else a night does, so it says how long the disk takes and what order of
// dumps ends a run soonest. Losing the file costs nothing but that knowledge.
//
// The file, `<logdir>/rates`, is one JSON object: {"format": 1, "disks": […], "volumes": […],
// "together": […]} with the members of the structures below.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "journal/event.h"

namespace headrace::journal {

// KiB/s: what came to the joint, and what went on from it, in the time in which the other side was not what
// it waited for. 0: not known, since it waited for the other side all the time.
struct JointRate {
  std::string name;
  uint64_t in_kps = 0;
  uint64_t out_kps = 0;
  bool operator==(const JointRate&) const = default;
};

// Of one disk's full dumps, or of its incrementals: the mean of all so far, the newest counting half.
struct DiskRate {
  std::string host, disk;
  bool full = false;
  std::string run;       // the newest
  uint64_t own_kps = 0;  // of the image's bytes, as they came in while nothing here held them up
  std::vector<JointRate> joints = {};
  bool operator==(const DiskRate&) const = default;
};

// What one writer took when it did not wait for its image.
struct VolumeRate {
  std::string storage;
  std::string run;
  uint64_t kps = 0;
  bool operator==(const VolumeRate&) const = default;
};

// The most that two dumps or more of one host, or of the run, brought at a time: what they share gives no
// more. A run with less lowers it a little, since most nights have nothing to fill it with.
struct TogetherRate {
  std::string host;  // empty: all dumps of the run
  std::string run;   // the newest
  uint64_t kps = 0;
  bool operator==(const TogetherRate&) const = default;
};

struct Rates {
  std::vector<DiskRate> disks = {};  // in the order of host, disk, incrementals first
  std::vector<VolumeRate> volumes = {};
  std::vector<TogetherRate> together = {};  // in the order of host

  bool empty() const { return disks.empty() && volumes.empty() && together.empty(); }
  // nullptr: never measured.
  const DiskRate* of(std::string_view host, std::string_view disk, bool full) const;
  const VolumeRate* of(std::string_view storage) const;
  void add(const DiskRate& measured);
  void add(const VolumeRate& measured);
  void add(const TogetherRate& measured);
  void add(const Rates& measured);

  std::string text() const;
  static base::Result<Rates> parse(std::string_view text, std::string_view name);
};

// From the last sample of a dump of `stored_kib` that took `seconds`: `joints` are the ones in its way, the
// client's first if it told of them. own_kps 0: too short to tell.
DiskRate rate_of_dump(const ImageId& image, uint64_t stored_kib, double seconds,
                      std::span<const Joint> joints);
// From the last sample of a held image's way to a volume. kps 0: too short to tell.
VolumeRate rate_of_write(std::string storage, std::string run, uint64_t bytes, std::span<const Joint> joints);

std::filesystem::path rates_path(const std::filesystem::path& logdir);
// No file: no rates. Blocking.
base::Result<Rates> load_rates(const std::filesystem::path& logdir);
// Adds to what the file has, which other runs may change at the same time; one that cannot be read is begun
// anew. Blocking.
base::Result<> add_to_rates(const std::filesystem::path& logdir, const Rates& measured);

}  // namespace headrace::journal
