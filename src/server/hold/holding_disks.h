// Space accounting of all holding disks: who may write how much where. Owned by the drive of a run, used on
// the loop's thread. Knows KiB and reservations; opens no files (see image_writer.h) and asks the free space
// of a file system through an interface. All sizes are KiB and, unless called data, include 32 KiB for the
// header of each chunk. Rules as Amanda 3.5's driver.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "config/server_config.h"

namespace headrace::hold {

inline constexpr uint64_t kHeaderKib = 32;
// What a fresh reservation holds at least.
inline constexpr uint64_t kLeastKib = 64;

// KiB an ordinary user may still write below `directory`. Error: the directory cannot be used.
using FreeSpace = std::function<base::Result<uint64_t>(const std::filesystem::path& directory)>;
// statvfs(2), and whether the directory can be written. Blocks for a moment; called by measure() alone.
base::Result<uint64_t> statvfs_free_kib(const std::filesystem::path& directory);

// The limit of a disk by its `use` parameter.
uint64_t usable_kib(int64_t use_kib, uint64_t free_kib);

using DiskIndex = size_t;

struct DiskSpace {
  std::string name;
  std::filesystem::path directory;
  uint64_t chunk_kib = 0;     // 0: without limit
  uint64_t size_kib = 0;      // what a run may use
  uint64_t reserved_kib = 0;  // of it, promised or used
  int active = 0;             // images being written
  uint64_t free_kib() const { return size_kib > reserved_kib ? size_kib - reserved_kib : 0; }
};

// What an image was promised on one disk.
struct Piece {
  DiskIndex disk = 0;
  uint64_t kib = 0;
  bool operator==(const Piece&) const = default;
};

// The promises to one image, in the order it uses them. A value: give it back with settle() or release().
struct Reservation {
  std::vector<Piece> pieces;
  bool active = true;  // counted among the disks' writers
  uint64_t total_kib() const;
};

class HoldingDisks {
 public:
  explicit HoldingDisks(const std::vector<config::HoldingDisk>& disks);

  // Measures every disk; a disk that cannot be used gets size 0 and a sentence in the answer. Blocking calls.
  std::vector<std::string> measure(const FreeSpace& free_space);

  const std::vector<DiskSpace>& disks() const { return disks_; }
  uint64_t total_kib() const;
  uint64_t free_kib() const;

  // Room for `data_kib` of a new image, perhaps on several disks: those with fewest writers first, then most
  // room. All of it or nothing.
  std::optional<Reservation> reserve(uint64_t data_kib);
  // More room for an image being written; goes on on its last disk when that has any. False: none to be had
  // now, and nothing changed.
  bool extend(Reservation& reservation, uint64_t data_kib);
  // The disk has no room in reality: the reservation there shrinks to `used_kib` and nothing more is promised
  // on that disk until something on it is freed.
  void no_room(Reservation& reservation, DiskIndex disk, uint64_t used_kib);
  // The image is written: keeps what its files take on each disk and gives the rest back.
  void settle(Reservation& reservation, const std::vector<Piece>& used);
  // The image is gone: gives all back.
  void release(Reservation& reservation);
  // An image of an earlier run was deleted: that much has become free beyond what measure() saw.
  void freed(const std::filesystem::path& file, uint64_t kib);

 private:
  void stop_writing(Reservation& reservation);
  bool take(Reservation& reservation, uint64_t data_kib, std::optional<DiskIndex> preferred);
  std::vector<DiskSpace> disks_;
  std::vector<int64_t> use_kib_;  // as configured
};

// KiB a request for so much data is rounded to: at least 64, a multiple of 32.
uint64_t rounded_request_kib(uint64_t data_kib);
// Headers that `data_kib` need in chunks of `chunk_kib` (headers included).
uint64_t header_kib(uint64_t data_kib, uint64_t chunk_kib);

}  // namespace headrace::hold
