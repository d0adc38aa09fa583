#include "server/hold/holding_disks.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace headrace::hold {

namespace fs = std::filesystem;

base::Result<uint64_t> statvfs_free_kib(const fs::path& directory) {
  if (::access(directory.c_str(), W_OK | X_OK) != 0) {
    return base::fail_errno(fmt::format("holding disk {}", directory.native()));
  }
  struct statvfs st{};
  if (::statvfs(directory.c_str(), &st) != 0)
    return base::fail_errno(fmt::format("statvfs {}", directory.native()));
  return static_cast<uint64_t>(st.f_bavail) * st.f_frsize / base::kKiB;
}

uint64_t usable_kib(int64_t use_kib, uint64_t free_kib) {
  if (use_kib > 0) return std::min(static_cast<uint64_t>(use_kib), free_kib);
  const uint64_t spared = static_cast<uint64_t>(-(use_kib + 1)) + 1;
  return free_kib > spared ? free_kib - spared : 0;
}

uint64_t rounded_request_kib(uint64_t data_kib) {
  const uint64_t least = std::max(data_kib, kLeastKib);
  return (least + kHeaderKib - 1) / kHeaderKib * kHeaderKib;
}

uint64_t header_kib(uint64_t data_kib, uint64_t chunk_kib) {
  if (data_kib == 0) return 0;
  if (chunk_kib <= kHeaderKib) return kHeaderKib;
  const uint64_t per_chunk = chunk_kib - kHeaderKib;
  return (data_kib + per_chunk - 1) / per_chunk * kHeaderKib;
}

uint64_t Reservation::total_kib() const {
  uint64_t sum = 0;
  for (const Piece& piece : pieces) sum += piece.kib;
  return sum;
}

HoldingDisks::HoldingDisks(const std::vector<config::HoldingDisk>& disks) {
  for (const auto& disk : disks) {
    const auto chunk = disk.chunksize_kib > 0 ? static_cast<uint64_t>(disk.chunksize_kib) : 0;
    const fs::path directory = disk.directory.has_filename() ? disk.directory : disk.directory.parent_path();
    disks_.push_back({disk.name, directory, chunk, 0, 0, 0});
    use_kib_.push_back(disk.use_kib);
  }
}

std::vector<std::string> HoldingDisks::measure(const FreeSpace& free_space) {
  std::vector<std::string> faults;
  for (DiskIndex i = 0; i < disks_.size(); ++i) {
    auto free_kib = free_space(disks_[i].directory);
    disks_[i].size_kib = free_kib ? usable_kib(use_kib_[i], *free_kib) : 0;
    if (!free_kib) {
      faults.push_back(
          fmt::format("holding disk '{}' will not be used: {}", disks_[i].name, free_kib.error().what()));
    }
  }
  return faults;
}

uint64_t HoldingDisks::total_kib() const {
  uint64_t sum = 0;
  for (const auto& disk : disks_) sum += disk.size_kib;
  return sum;
}

uint64_t HoldingDisks::free_kib() const {
  uint64_t sum = 0;
  for (const auto& disk : disks_) sum += disk.free_kib();
  return sum;
}

// The data that fits into `free_kib` beside the headers of its chunks, at most `wanted_kib`.
static uint64_t data_that_fits(uint64_t free_kib, uint64_t chunk_kib, uint64_t wanted_kib) {
  const uint64_t chunks = chunk_kib == 0 ? 1 : (free_kib - 1) / chunk_kib + 1;
  const uint64_t headers = chunks * kHeaderKib;
  return std::min(free_kib > headers ? free_kib - headers : 0, wanted_kib);
}

bool HoldingDisks::take(Reservation& reservation, uint64_t data_kib, std::optional<DiskIndex> preferred) {
  uint64_t rest = rounded_request_kib(data_kib);
  std::vector<Piece> found;
  std::vector<bool> asked(disks_.size(), false);
  while (rest > 0) {
    std::optional<DiskIndex> best;
    if (preferred && !asked[*preferred] && disks_[*preferred].free_kib() >= kHeaderKib) {
      best = preferred;
    } else {
      for (DiskIndex i = 0; i < disks_.size(); ++i) {
        const auto& disk = disks_[i];
        if (asked[i] || disk.free_kib() < kLeastKib) continue;
        if (!best || disk.active < disks_[*best].active ||
            (disk.active == disks_[*best].active && disk.free_kib() > disks_[*best].free_kib())) {
          best = i;
        }
      }
    }
    if (!best) return false;
    asked[*best] = true;
    const auto& disk = disks_[*best];
    const uint64_t data = data_that_fits(disk.free_kib(), disk.chunk_kib, rest);
    if (data == 0) continue;
    found.push_back({*best, data + header_kib(data, disk.chunk_kib)});
    rest -= data;
  }
  for (const Piece& piece : found) {
    auto& disk = disks_[piece.disk];
    const bool known =
        std::ranges::any_of(reservation.pieces, [&](const Piece& p) { return p.disk == piece.disk; });
    if (!known) ++disk.active;
    disk.reserved_kib += piece.kib;
    if (!reservation.pieces.empty() && reservation.pieces.back().disk == piece.disk) {
      reservation.pieces.back().kib += piece.kib;
    } else {
      reservation.pieces.push_back(piece);
    }
  }
  return true;
}

std::optional<Reservation> HoldingDisks::reserve(uint64_t data_kib) {
  Reservation reservation;
  if (!take(reservation, data_kib, {})) return std::nullopt;
  return reservation;
}

bool HoldingDisks::extend(Reservation& reservation, uint64_t data_kib) {
  HEADRACE_CHECK(reservation.active);
  std::optional<DiskIndex> last;
  if (!reservation.pieces.empty()) last = reservation.pieces.back().disk;
  return take(reservation, data_kib, last);
}

void HoldingDisks::no_room(Reservation& reservation, DiskIndex disk, uint64_t used_kib) {
  uint64_t left = used_kib;
  for (Piece& piece : reservation.pieces) {
    if (piece.disk != disk) continue;
    const uint64_t kept = std::min(piece.kib, left);
    disks_[disk].reserved_kib -= piece.kib - kept;
    left -= kept;
    piece.kib = kept;
  }
  // Full: nothing is free beyond what is promised to others already.
  disks_[disk].size_kib = std::min(disks_[disk].size_kib, disks_[disk].reserved_kib);
}

void HoldingDisks::stop_writing(Reservation& reservation) {
  if (!reservation.active) return;
  reservation.active = false;
  std::vector<bool> seen(disks_.size(), false);
  for (const Piece& piece : reservation.pieces) {
    if (!seen[piece.disk]) --disks_[piece.disk].active;
    seen[piece.disk] = true;
  }
}

void HoldingDisks::settle(Reservation& reservation, const std::vector<Piece>& used) {
  stop_writing(reservation);
  for (const Piece& piece : reservation.pieces) disks_[piece.disk].reserved_kib -= piece.kib;
  reservation.pieces = used;
  for (const Piece& piece : used) disks_[piece.disk].reserved_kib += piece.kib;
}

void HoldingDisks::release(Reservation& reservation) { settle(reservation, {}); }

void HoldingDisks::freed(const fs::path& file, uint64_t kib) {
  for (DiskIndex i = 0; i < disks_.size(); ++i) {
    const auto& directory = disks_[i].directory;
    const auto [end, _] = std::ranges::mismatch(directory, file);
    if (end != directory.end()) continue;
    uint64_t size = disks_[i].size_kib + kib;
    if (use_kib_[i] > 0) size = std::min(size, static_cast<uint64_t>(use_kib_[i]));
    disks_[i].size_kib = size;
    return;
  }
}

}  // namespace headrace::hold
